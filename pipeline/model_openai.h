/* Chat completions as OpenAI defined them, which DeepSeek, Ollama, llama.cpp, vLLM and many others speak too.
 *
 * Servers differ in what they leave out: usage in the stream, the closing [DONE], streaming itself. All of that is
 * accepted; see model_call.c for what is done about missing usage. Reasoning (`reasoning_content`) is not kept.
 */
#ifndef PIPELINE_MODEL_OPENAI_H
#define PIPELINE_MODEL_OPENAI_H

#include "pipeline/model_internal.h"

extern const struct model_provider model_openai;

#endif
