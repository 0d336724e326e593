#include "pipeline/model_circle.h"

#include <ctype.h>

enum { LONGEST_PIECE = 200, FEWEST_ROUNDS = 5, SHORTEST_RUN = 600 };

static bool says_something(const char *piece, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (isalnum((unsigned char)piece[i]))
            return true;
    return false;
}

static bool repeats(const char *end, size_t piece, size_t run)
{
    for (const char *at = end - 1; at >= end - run + piece; at--)
        if (*at != at[-(long)piece])
            return false;
    return true;
}

bool model_turns_in_circles(const char *text, size_t len)
{
    for (size_t piece = 1; piece <= LONGEST_PIECE; piece++) {
        size_t run = piece * FEWEST_ROUNDS < SHORTEST_RUN ? SHORTEST_RUN : piece * FEWEST_ROUNDS;
        if (run <= len && repeats(text + len, piece, run) && says_something(text + len - piece, piece))
            return true;
    }
    return false;
}
