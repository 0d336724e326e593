/* Rows of text for people: an aligned table with titles on a terminal, tab-separated lines without titles elsewhere. */
#ifndef APP_TABLE_H
#define APP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What an output is: for people who look, or for programs that read. */
struct screen {
    bool terminal;
    bool colour;  /* a terminal, and NO_COLOR is not set */
    size_t width; /* columns; 0: no bound */
};
struct screen screen_of(FILE *file);

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_FAINT, TONE_COUNT };

/* Writes text in a colour when there are colours. Control characters of outside text become spaces. */
void screen_put(const struct screen *screen, FILE *file, enum tone tone, const char *text);

struct table;
struct table *table_new(const char *const *titles,
                        size_t columns); /* at most 16; titles are borrowed; NULL without memory */
void table_free(struct table *table);

/* A row of `columns` texts, which are copied, and a tone for each, or NULL. */
void table_row(struct table *table, const char *const *cells, const enum tone *tones);

/* On a terminal the last column is cut to its width. */
void table_print(const struct table *table, const struct screen *screen, FILE *file);

#endif
