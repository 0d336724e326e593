#include "app/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, COLUMNS_MAX = 16 };

struct screen screen_of(FILE *file)
{
    struct winsize size = {0};
    struct screen screen = {.terminal = isatty(fileno(file)) == 1};
    const char *no_colour = getenv("NO_COLOR"); /* set and not empty: https://no-color.org */
    const char *kind = getenv("TERM");
    screen.colour = screen.terminal && !(no_colour && *no_colour) && !(kind && strcmp(kind, "dumb") == 0);
    if (screen.terminal && ioctl(fileno(file), TIOCGWINSZ, &size) == 0)
        screen.width = size.ws_col;
    return screen;
}

/* ---- text ---- */

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* Characters, taking UTF-8 for granted: wide ones count as one, which misaligns a line and no more. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += starts_character(*text);
    return width;
}

/* Bytes of the first `width` characters. */
static size_t bytes_of(const char *text, size_t width)
{
    size_t at = 0;
    for (; text[at]; at++)
        if (starts_character(text[at]) && width-- == 0)
            break;
    return at;
}

/* Without what would move the cursor, end the line or begin a new column: C0 controls, DEL, and C1 in UTF-8. */
static void put_clean(FILE *file, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0;
        fputc(c < ' ' || c == 0x7f || c1 ? ' ' : c, file);
        i += c1;
    }
}

static void put(const struct screen *screen, FILE *file, enum tone tone, const char *text, size_t len)
{
    static const char *const codes[TONE_COUNT] = {
        [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m", [TONE_BAD] = "\033[31m", [TONE_FAINT] = "\033[2m"};
    bool coloured = screen->colour && codes[tone];
    if (coloured)
        fputs(codes[tone], file);
    put_clean(file, text, len);
    if (coloured)
        fputs("\033[0m", file);
}

void screen_put(const struct screen *screen, FILE *file, enum tone tone, const char *text)
{
    put(screen, file, tone, text, strlen(text));
}

/* ---- tables ---- */

struct cell {
    char *text;
    enum tone tone;
};

struct table {
    const char *const *titles;
    size_t columns, rows;
    struct cell *cells; /* row by row */
};

struct table *table_new(const char *const *titles, size_t columns)
{
    struct table *table = columns <= COLUMNS_MAX ? calloc(1, sizeof *table) : NULL;
    if (table)
        *table = (struct table){.titles = titles, .columns = columns};
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

void table_row(struct table *table, const char *const *cells, const enum tone *tones)
{
    struct cell *grown = reallocarray(table->cells, (table->rows + 1) * table->columns, sizeof *grown);
    if (!grown)
        return;
    table->cells = grown;
    struct cell *row = &grown[table->rows++ * table->columns];
    for (size_t i = 0; i < table->columns; i++)
        row[i] = (struct cell){strdup(cells[i]), tones ? tones[i] : TONE_PLAIN};
}

static const char *text_of(const struct cell *cell)
{
    return cell->text ? cell->text : "";
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t width = width_of(table->titles[column]);
    for (size_t i = 0; i < table->rows; i++) {
        size_t own = width_of(text_of(&table->cells[i * table->columns + column]));
        width = own > width ? own : width;
    }
    return width;
}

/* One aligned line. */
static void print_line(const struct table *table, const size_t *widths, const struct screen *screen, FILE *file,
                       const struct cell *cells)
{
    size_t used = 0;
    for (size_t i = 0; i < table->columns; i++) {
        const char *text = text_of(&cells[i]);
        size_t len = strlen(text);
        if (i + 1 == table->columns && screen->width > used)
            len = bytes_of(text, screen->width - used);
        put(screen, file, cells[i].tone, text, len);
        if (i + 1 < table->columns) {
            fprintf(file, "%*s", (int)(widths[i] - width_of(text) + GAP), "");
            used += widths[i] + GAP;
        }
    }
    fputc('\n', file);
}

static void print_aligned(const struct table *table, const struct screen *screen, FILE *file)
{
    size_t widths[COLUMNS_MAX];
    struct cell titles[COLUMNS_MAX];
    for (size_t i = 0; i < table->columns; i++) {
        widths[i] = column_width(table, i);
        titles[i] = (struct cell){(char *)table->titles[i], TONE_FAINT};
    }
    if (table->rows)
        print_line(table, widths, screen, file, titles);
    for (size_t i = 0; i < table->rows; i++)
        print_line(table, widths, screen, file, &table->cells[i * table->columns]);
}

static void print_tabbed(const struct table *table, const struct screen *screen, FILE *file)
{
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        screen_put(screen, file, TONE_PLAIN, text_of(&table->cells[i]));
        fputc((i + 1) % table->columns ? '\t' : '\n', file);
    }
}

void table_print(const struct table *table, const struct screen *screen, FILE *file)
{
    (screen->terminal ? print_aligned : print_tabbed)(table, screen, file);
}
