/* Anthropic's messages: the system prompt is marked for the prompt cache, and a schema becomes a tool that the model
 * has to call, whose arguments are the answer.
 */
#ifndef PIPELINE_MODEL_ANTHROPIC_H
#define PIPELINE_MODEL_ANTHROPIC_H

#include "pipeline/model_internal.h"

extern const struct model_provider model_anthropic;

#endif
