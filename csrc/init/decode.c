/* decode.c: bytes of a plan → steps. Every number is checked here, once; nothing is allocated. */
#include "init.h"

#include <string.h>

#define FIELD_KIND(kind, name) #kind
#define FIELD_KINDS(NAME, name, who, words) FOR_INIT_##who("" FIELDS_##NAME(FIELD_KIND),)
/* The kinds of each operation's fields: one letter a field */
static const char *const field_kinds[] = { PLAN_OPERATIONS(FIELD_KINDS) };
#undef FIELD_KINDS

int plan_open(struct plan *plan, const void *bytes, size_t size)
{
    struct plan_header header;

    if (size < sizeof header || size > PLAN_MAX_BYTES)
        return -EMSGSIZE;
    memcpy(&header, bytes, sizeof header);
    if (header.magic != PLAN_MAGIC || header.version != PLAN_VERSION)
        return -EPROTO;
    uint64_t words = (uint64_t)header.words * sizeof(int64_t);
    if (sizeof header + words + header.pool != size || header.pool == 0)
        return -EPROTO;
    plan->words = (const int64_t *)((const char *)bytes + sizeof header);
    plan->word_count = header.words;
    plan->pool = (const char *)bytes + sizeof header + words;
    plan->pool_size = header.pool;
    return plan->pool[header.pool - 1] == '\0' ? 0 : -EPROTO;
}

/* A piece of the pool; it and everything after it up to the pool's last byte, a NUL, may be read */
static int decode_text(const struct plan *plan, uint64_t word, struct text *text)
{
    uint32_t offset = (uint32_t)word, length = (uint32_t)(word >> 32);

    if (offset >= plan->pool_size || length >= plan->pool_size - offset)
        return -EPROTO;
    text->bytes = plan->pool + offset;
    text->length = length;
    return text->bytes[length] == '\0' ? 0 : -EPROTO;
}

static int decode_field(const struct plan *plan, char kind, int64_t word, union field *field)
{
    int error;

    if (kind == 'i') {
        field->i = word;
        return 0;
    }
    error = decode_text(plan, (uint64_t)word, &field->s);
    if (error)
        return error;
    if (kind == 's' && memchr(field->s.bytes, '\0', field->s.length))
        return -EPROTO;
    if (kind == 'l' && field->l.length && field->l.bytes[field->l.length - 1] != '\0')
        return -EPROTO;
    return 0;
}

/* Decode the step at word *at and move *at behind it. 1: a step, 0: the end, negative: not a plan. */
int plan_next(const struct plan *plan, uint32_t *at, struct step *step)
{
    if (*at == plan->word_count)
        return 0;
    uint64_t head = (uint64_t)plan->words[(*at)++];
    unsigned operation = head & 0xffff, count = (head >> 16) & 0xffff;

    if (operation >= OPERATIONS || count != strlen(field_kinds[operation]) || count > PLAN_MAX_FIELDS ||
        count > plan->word_count - *at)
        return -EPROTO;
    step->operation = (enum plan_operation)operation;
    uint32_t where = (uint32_t)(head >> 32);
    if (where >= plan->pool_size)
        return -EPROTO;
    step->where.bytes = plan->pool + where;
    step->where.length = (uint32_t)strlen(plan->pool + where);
    for (unsigned n = 0; n < count; n++) {
        int error = decode_field(plan, field_kinds[operation][n], plan->words[(*at)++], &step->fields[n]);
        if (error)
            return error;
    }
    return 1;
}

const char *list_next(const struct text *list, const char *at)
{
    const char *next = at + strlen(at) + 1;
    return next < list->bytes + list->length ? next : NULL;
}
