#include "pipeline/testfile_names.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"
#include "app/base/template.h"
#include "pipeline/markdown.h"
#include "pipeline/symbols.h"

enum { MAX_IMPORT = 8192, MAX_IMPORTS = 64 };

/* What an import calls its part `index` in the file; a plain `import a.b` binds "a". Borrowed; *len is its length. */
static const char *bound_name(const struct source_import *import, size_t index, size_t *len)
{
    const char *name = import->name_count ? (import->aliases[index] ? import->aliases[index] : import->names[index])
                                          : (import->alias ? import->alias : import->module);
    *len = import->name_count || import->alias ? strlen(name) : strcspn(name, ".");
    return name;
}

static bool binds(const struct source_import *import, const char *name, size_t *index)
{
    for (*index = 0; *index < (import->name_count ? import->name_count : 1); ++*index) {
        size_t len;
        const char *bound = bound_name(import, *index, &len);
        if (strlen(name) == len && strncmp(bound, name, len) == 0)
            return true;
    }
    return false;
}

static bool has(const struct symbols *symbols, const char *name)
{
    size_t index;
    for (size_t i = 0; i < symbols->import_count; i++)
        if (binds(&symbols->imports[i], name, &index))
            return true;
    return symbols_find(symbols, name) != NULL;
}

static char *render(const char *form, const char *module, const char *names, const char *alias)
{
    AUTO_BUF struct buf out = BUF_INIT(MAX_IMPORT);
    json_auto_t *view = json_pack("{s:s, s:s*, s:s*}", "module", module, "names", names, "alias", alias);
    if (!form || !view ||
        template_render((struct template_source){"import", form, strlen(form)}, TEMPLATE_PLAIN, view, NULL, NULL, &out,
                        NULL) < 0)
        return NULL;
    return buf_steal(&out, NULL);
}

/* One name of an absolute import as a statement of its own. Heap or NULL. */
static char *statement_of(const struct language *language, const struct source_import *import, size_t index)
{
    if (!import->name_count)
        return render(language->layout.import_module, import->module, NULL, import->alias);
    const char *alias = import->aliases[index];
    AUTO_FREE char *names = alias ? text_format("%s as %s", import->names[index], alias) : strdup(import->names[index]);
    return names ? render(language->layout.import_names, import->module, names, NULL) : NULL;
}

/* From the file under test: what it defines, and what it takes from elsewhere. */
static char *from_target(const struct testfile *file, const struct symbols *target, const char *name)
{
    size_t index;
    const struct language *language = file->language;
    for (size_t i = 0; i < target->import_count; i++) {
        const struct source_import *import = &target->imports[i];
        if (import->top_level && binds(import, name, &index))
            return import->level ? render(language->layout.import_names, file->module, name, NULL)
                                 : statement_of(language, import, index);
    }
    return symbols_find(target, name) ? render(language->layout.import_names, file->module, name, NULL) : NULL;
}

/* From the import lines of the request, in doctests or not, that resolve. */
static char *from_line(const struct testfile *file, const char *line, const char *name)
{
    struct symbols symbols = {0};
    char *found = NULL;
    size_t index;
    if (symbols_parse(file->language, line, strlen(line), &symbols, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < symbols.import_count && !found && !symbols.error_line; i++)
        if (!symbols.imports[i].level && binds(&symbols.imports[i], name, &index) &&
            import_resolve(file->rules, file->path, &symbols.imports[i], true))
            found = statement_of(file->language, &symbols.imports[i], index);
    symbols_release(&symbols);
    return found;
}

static char *from_request(const struct testfile *file, const char *name)
{
    char *found = NULL;
    struct markdown reader = markdown_start(file->spec && file->spec->text ? file->spec->text : "");
    while (!found && markdown_next(&reader)) {
        size_t skip = 0;
        while (skip < reader.len && strchr(" \t`", reader.line[skip]))
            skip++;
        if (reader.len - skip > 4 && strncmp(reader.line + skip, ">>> ", 4) == 0)
            skip += 4;
        size_t len = reader.len - skip;
        while (len && strchr(" \t\r`", reader.line[skip + len - 1]))
            len--;
        AUTO_FREE char *line = memmem(reader.line + skip, len, "import", 6) ? strndup(reader.line + skip, len) : NULL;
        found = line && len < MAX_IMPORT ? from_line(file, line, name) : NULL;
    }
    return found;
}

json_t *testfile_imports_for(const struct testfile *file, const char *text, const char *code)
{
    struct symbols used = {0}, known = {0}, target = {0};
    json_t *imports = json_array();
    if (file->rules && symbols_parse(file->language, code, strlen(code), &used, NULL) == 0 &&
        symbols_parse(file->language, text, strlen(text), &known, NULL) == 0 &&
        symbols_parse(file->language, file->target, strlen(file->target), &target, NULL) == 0)
        for (size_t i = 0; i < used.reference_count && json_array_size(imports) < MAX_IMPORTS; i++) {
            const char *name = used.references[i];
            if (strcmp(name, file->symbol) == 0 || has(&used, name) || has(&known, name))
                continue;
            AUTO_FREE char *here = from_target(file, &target, name);
            AUTO_FREE char *said = here ? NULL : from_request(file, name);
            if (here || said)
                json_array_append_new(imports, json_string(here ? here : said));
        }
    symbols_release(&used);
    symbols_release(&known);
    symbols_release(&target);
    return imports;
}
