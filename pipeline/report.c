#include "pipeline/report.h"

#include <ctype.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"

enum {
    REPORT_MAX = 32 * 1024 * 1024,
    CASES_MAX = 50000,
    MESSAGE_MAX = 1000,
    DETAILS_MAX = 16 * 1024,
    TRACE_MAX = 12 * 1024, /* of the details; what a test printed gets the rest */
    ELAPSED_MAX_S = 1000 * 1000,
};

/* ---- text ---- */

/* The length of at most `max` bytes of text that does not end inside a UTF-8 sequence. */
static size_t whole_prefix(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

/* Appends a text; a longer one loses its middle, since a traceback says most at its start and its end. */
static void add_shortened(struct buf *out, const char *text, size_t max)
{
    size_t len = strlen(text), room = out->max > out->len ? out->max - out->len : 0;
    static const char mark[] = "\n[...]\n";
    max = max < room ? max : room;
    if (len <= max) {
        buf_add(out, text, len);
        return;
    }
    if (max < 4 * sizeof mark)
        return;
    size_t head = whole_prefix(text, len, max / 4);
    const char *tail = text + len - (max - max / 4 - sizeof mark);
    while (((unsigned char)*tail & 0xc0) == 0x80)
        tail++;
    buf_add(out, text, head);
    buf_puts(out, mark);
    buf_puts(out, tail);
}

static const char *skip_blank(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* The line's text on one line, within the cap. Heap. */
static char *copy_line(const char *line)
{
    line = skip_blank(line);
    size_t len = whole_prefix(line, strcspn(line, "\r\n"), MESSAGE_MAX);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    return strndup(line, len);
}

/* ---- pytest's dialect ---- */

/* The last line that pytest marks with "E": what was raised, when the message attribute does not say it. */
static const char *last_marked_line(const char *details)
{
    const char *found = NULL;
    for (const char *line = details; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (line[0] == 'E' && line[1] == ' ' && line[1 + strspn(line + 1, " \t\r\n")])
            found = line + 1;
    return found;
}

/* The message for people: what was asserted or raised, without the words that pytest wraps around it. */
static char *find_message(const char *message, const char *details)
{
    static const char *const wrappers[] = {"failed on setup with \"", "failed on teardown with \""};
    const char *marked = last_marked_line(details);
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        size_t len = strlen(wrappers[i]);
        if (strncmp(message, wrappers[i], len) != 0)
            continue;
        if (strncmp(message + len, "file ", 5) == 0 && marked)
            return copy_line(marked);
        char *inner = copy_line(message + len);
        size_t end = inner ? strlen(inner) : 0;
        if (end > 0 && inner[end - 1] == '"')
            inner[end - 1] = '\0';
        return inner;
    }
    if (*skip_blank(message) && strcmp(message, "collection failure") != 0)
        return copy_line(message);
    return copy_line(marked ? marked : details);
}

/* "json.decoder.JSONDecodeError: …" → "JSONDecodeError"; NULL when the text does not begin with a type's name. */
static char *type_prefix(const char *text)
{
    size_t len = 0, last = 0;
    while (isalnum((unsigned char)text[len]) || text[len] == '_' || text[len] == '.') {
        last = text[len] == '.' ? len + 1 : last;
        len++;
    }
    bool ends = text[len] == '\0' || text[len] == '\n' || (text[len] == ':' && !isalnum((unsigned char)text[len + 1]));
    if (len == last || !isupper((unsigned char)text[last]) || !ends)
        return NULL;
    return strndup(text + last, len - last);
}

/* A traceback's last line: "tests/test_cart.py:20: AssertionError". */
static char *type_of_trace(const char *details)
{
    size_t len = strlen(details);
    while (len > 0 && isspace((unsigned char)details[len - 1]))
        len--;
    const char *line = memrchr(details, '\n', len);
    line = line ? line + 1 : details;
    const char *colon = memrchr(line, ':', (size_t)(details + len - line));
    if (!colon || colon == line || !isdigit((unsigned char)colon[-1]) || colon[1] != ' ')
        return NULL;
    AUTO_FREE char *word = strndup(colon + 2, (size_t)(details + len - colon - 2));
    return word ? type_prefix(word) : NULL;
}

static char *find_exception(const char *type, const char *message, const char *details)
{
    char *found = *type ? type_prefix(type) : NULL;
    if (!found)
        found = type_prefix(message);
    if (!found)
        found = type_of_trace(details);
    return found ? found : strdup("");
}

/* ---- elements ---- */

static bool is_named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* An attribute's value, "" when absent. Heap. */
static char *attribute(xmlNode *node, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
    char *copy = strdup(value ? (const char *)value : "");
    xmlFree(value);
    return copy;
}

static char *content(xmlNode *node)
{
    xmlChar *value = xmlNodeGetContent(node);
    char *copy = strdup(value ? (const char *)value : "");
    xmlFree(value);
    return copy;
}

static int64_t milliseconds(const char *seconds)
{
    double value = strtod(seconds, NULL);
    return value > 0 && value < ELAPSED_MAX_S ? (int64_t)(value * 1000 + 0.5) : 0;
}

static void case_release(struct test_case *test)
{
    free(test->file);
    free(test->suite);
    free(test->name);
    free(test->message);
    free(test->details);
    free(test->exception);
}

/* The first child that says how the test ended; a failure counts before an error. */
static xmlNode *verdict_of(xmlNode *test, enum test_status *status)
{
    static const struct {
        const char *name;
        enum test_status status;
    } verdicts[] = {{"failure", TEST_FAILED}, {"error", TEST_ERRORED}, {"skipped", TEST_SKIPPED}};
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
        for (xmlNode *child = test->children; child; child = child->next)
            if (is_named(child, verdicts[i].name)) {
                *status = verdicts[i].status;
                return child;
            }
    *status = TEST_PASSED;
    return NULL;
}

/* Traceback first, then what the test printed. */
static char *read_details(xmlNode *test, const char *trace)
{
    struct buf details = BUF_INIT(DETAILS_MAX);
    add_shortened(&details, trace, TRACE_MAX);
    for (xmlNode *child = test->children; child; child = child->next) {
        if (!is_named(child, "system-out") && !is_named(child, "system-err"))
            continue;
        AUTO_FREE char *printed = content(child);
        if (!printed || !*skip_blank(printed) || details.max - details.len < 256)
            continue;
        buf_printf(&details, "%s--- %s ---\n", details.len ? "\n" : "", (const char *)child->name);
        add_shortened(&details, printed, details.max - details.len);
    }
    return buf_steal(&details, NULL);
}

static void read_verdict(xmlNode *element, xmlNode *verdict, struct test_case *test)
{
    AUTO_FREE char *message = verdict ? attribute(verdict, "message") : strdup("");
    AUTO_FREE char *type = verdict ? attribute(verdict, "type") : strdup("");
    AUTO_FREE char *trace = verdict ? content(verdict) : strdup("");
    bool failed = test->status == TEST_FAILED || test->status == TEST_ERRORED;
    if (!message || !type || !trace)
        return;
    test->message = find_message(message, trace);
    test->details = verdict ? read_details(element, trace) : strdup("");
    test->exception = failed && test->message ? find_exception(type, test->message, trace) : strdup("");
}

/* Doubles the array each time it is full, which it is at powers of two. */
static struct test_case *room_for_case(struct test_report *report)
{
    size_t count = report->count;
    if (count & (count - 1))
        return report->cases;
    struct test_case *cases = reallocarray(report->cases, count ? count * 2 : 1, sizeof *cases);
    if (cases)
        report->cases = cases;
    return cases;
}

static int add_case(struct test_report *report, xmlNode *element, struct error *err)
{
    struct test_case test = {0};
    if (report->count >= CASES_MAX)
        return error_set(err, ERROR_LIMIT, "the test report has more than %d tests", CASES_MAX);
    xmlNode *verdict = verdict_of(element, &test.status);
    AUTO_FREE char *seconds = attribute(element, "time");
    test.file = attribute(element, "file");
    test.suite = attribute(element, "classname");
    test.name = attribute(element, "name");
    test.elapsed_ms = milliseconds(seconds ? seconds : "");
    read_verdict(element, verdict, &test);
    struct test_case *cases = room_for_case(report);
    if (!cases || !test.file || !test.suite || !test.name || !test.message || !test.details || !test.exception) {
        case_release(&test);
        return error_set(err, ERROR_INTERNAL, "no memory");
    }
    cases[report->count++] = test;
    size_t *const counts[] = {&report->passed, &report->failed, &report->errored, &report->skipped};
    ++*counts[test.status];
    return 0;
}

/* Suites may be nested; libxml2 bounds the depth. */
static int read_suite(struct test_report *report, xmlNode *suite, struct error *err)
{
    for (xmlNode *child = suite->children; child; child = child->next) {
        if (is_named(child, "testcase") && add_case(report, child, err) < 0)
            return -1;
        if (is_named(child, "testsuite") && read_suite(report, child, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the document ---- */

/* A report needs no document type, and entities come only with one: the first sight of it ends the parsing. */
static void refuse_doctype(void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    xmlParserCtxt *parser = context;
    (void)name, (void)external, (void)system;
    *(bool *)parser->_private = true;
    xmlStopParser(parser);
}

static xmlDoc *parse(xmlParserCtxt *parser, const char *xml, size_t len, struct error *err)
{
    bool has_doctype = false;
    parser->_private = &has_doctype;
    parser->sax->internalSubset = refuse_doctype;
    xmlDoc *document = xmlCtxtReadMemory(parser, xml, (int)len, "report", NULL,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
    const xmlError *problem = xmlCtxtGetLastError(parser);
    if (document && !has_doctype)
        return document;
    if (has_doctype)
        error_set(err, ERROR_INPUT, "the test report has a document type, which is not allowed");
    else
        error_set(err, ERROR_INPUT, "the test report is not valid XML: line %d: %s", problem ? problem->line : 0,
                  problem && problem->message ? problem->message : "it cannot be read");
    xmlFreeDoc(document);
    return NULL;
}

int report_read_junit(const char *xml, size_t len, struct test_report *out, struct error *err)
{
    struct test_report report = {0};
    if (len > REPORT_MAX)
        return error_set(err, ERROR_LIMIT, "the test report has %zu bytes, more than the %d allowed", len, REPORT_MAX);
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_set(err, ERROR_INTERNAL, "no memory");
    xmlDoc *document = parse(parser, xml, len, err);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    int result = root ? 0 : -1;
    if (root && !is_named(root, "testsuites") && !is_named(root, "testsuite"))
        result = error_set(err, ERROR_INPUT, "the test report is no JUnit report: it begins with <%.40s>",
                           (const char *)root->name);
    if (result == 0)
        result = read_suite(&report, root, err);
    xmlFreeDoc(document);
    xmlFreeParserCtxt(parser);
    if (result < 0) {
        report_release(&report);
        return -1;
    }
    *out = report;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(const char *text, size_t len, struct test_report *out, struct error *err);
} formats[] = {
    {"junit", report_read_junit},
};

int report_read(const char *format, const char *text, size_t len, struct test_report *out, struct error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, format) == 0)
            return formats[i].read(text, len, out, err);
    return error_set(err, ERROR_CONFIG, "there is no reader for test reports in the format \"%s\"; known: junit",
                     format);
}

void report_release(struct test_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        case_release(&report->cases[i]);
    free(report->cases);
    *report = (struct test_report){0};
}
