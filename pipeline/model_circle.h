/* Small models sometimes say the same thing for ever. */
#ifndef PIPELINE_MODEL_CIRCLE_H
#define PIPELINE_MODEL_CIRCLE_H

#include <stdbool.h>
#include <stddef.h>

/* True when the end of the text is one piece, up to 200 bytes long, over and over: five times, and at least 600 bytes.
 * Runs of blanks and rules ("-----") are no piece. */
bool model_turns_in_circles(const char *text, size_t len);

#endif
