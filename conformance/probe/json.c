#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *buffer;
static size_t used, room;
static int needs_comma;

static void put(const char *bytes, size_t length)
{
    if (used + length + 1 > room) {
        room = (used + length + 1) * 2;
        buffer = realloc(buffer, room);
        if (!buffer)
            _exit(90);
    }
    memcpy(buffer + used, bytes, length);
    used += length;
    buffer[used] = 0;
}

static void put_quoted(const char *bytes, size_t length)
{
    char escape[8];

    put("\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = bytes[i];
        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = c;
            put(escape, 2);
        } else if (c < 0x20 || c >= 0x7f) {
            /* bytes, not characters: the reader turns them back with latin-1 */
            snprintf(escape, sizeof escape, "\\u%04x", c);
            put(escape, 6);
        } else {
            put((const char *)&bytes[i], 1);
        }
    }
    put("\"", 1);
}

static void begin(const char *key)
{
    if (needs_comma)
        put(",", 1);
    if (key) {
        put_quoted(key, strlen(key));
        put(":", 1);
    }
    needs_comma = 1;
}

void json_open(const char *key, char bracket)
{
    begin(key);
    put(&bracket, 1);
    needs_comma = 0;
}

void json_close(char bracket)
{
    put(&bracket, 1);
    needs_comma = 1;
}

void json_bytes(const char *key, const char *value, size_t length)
{
    begin(key);
    put_quoted(value, length);
}

void json_text(const char *key, const char *value) { json_bytes(key, value, strlen(value)); }

void json_number(const char *key, long long value)
{
    char digits[32];

    begin(key);
    put(digits, snprintf(digits, sizeof digits, "%lld", value));
}

void json_unsigned(const char *key, unsigned long long value)
{
    char digits[32];

    begin(key);
    put(digits, snprintf(digits, sizeof digits, "%llu", value));
}

void json_flag(const char *key, int value)
{
    begin(key);
    if (value)
        put("true", 4);
    else
        put("false", 5);
}

void json_null(const char *key)
{
    begin(key);
    put("null", 4);
}

const char *json_buffer(size_t *length)
{
    *length = used;
    return buffer ? buffer : "";
}

void json_reset(void)
{
    used = 0;
    needs_comma = 0;
}
