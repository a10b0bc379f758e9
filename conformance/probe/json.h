/* Writes JSON to a growing buffer: commas and quoting are its one job. */
#ifndef PROBE_JSON_H
#define PROBE_JSON_H

#include <stddef.h>

void json_open(const char *key, char bracket);   /* key is NULL inside of arrays */
void json_close(char bracket);
void json_text(const char *key, const char *value);
void json_bytes(const char *key, const char *value, size_t length);
void json_number(const char *key, long long value);
void json_unsigned(const char *key, unsigned long long value);
void json_flag(const char *key, int value);
void json_null(const char *key);
const char *json_buffer(size_t *length);
void json_reset(void);

#endif
