/* plan_decoder.c: any bytes given as a plan are refused or decoded, and what is decoded lies inside them. */
#include "init/init.h"

#include <stdlib.h>
#include <string.h>

static void touch(const struct text *text)
{
    if (text->bytes[text->length] != '\0')
        abort();
    volatile size_t seen = strnlen(text->bytes, text->length);
    (void)seen;
}

static const char kinds[OPERATIONS][PLAN_MAX_FIELDS + 1] = {
#define KIND(kind, name) #kind
#define KINDS(NAME, name, who, words) FOR_INIT_##who("" FIELDS_##NAME(KIND),)
    PLAN_OPERATIONS(KINDS)
};

static void walk(const struct step *step)
{
    touch(&step->where);
    for (unsigned n = 0; kinds[step->operation][n]; n++) {
        const union field *field = &step->fields[n];
        switch (kinds[step->operation][n]) {
        case 's':
        case 'b':
            touch(&field->s);
            break;
        case 'l':
            for (const char *s = list_first(&field->l); s; s = list_next(&field->l, s))
                if (s < field->l.bytes || s + strlen(s) >= field->l.bytes + field->l.length)
                    abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan plan;
    struct step step;
    uint32_t at = 0;
    void *copy = malloc(size ? size : 1); /* a block of its own, so that the sanitizer sees every step beyond it */

    memcpy(copy, data, size);
    if (plan_open(&plan, copy, size) == 0)
        while (plan_next(&plan, &at, &step) > 0)
            walk(&step);
    free(copy);
    return 0;
}
