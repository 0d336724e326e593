/* Prints a C file with every file below a folder as a `struct template_file` (app/base/template.h). */
#include <dirent.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILES = 1024, MAX_BYTES = 1 << 20 };

struct files {
    char *paths[MAX_FILES]; /* relative to the folder */
    size_t count;
};

static void die(const char *what, const char *name)
{
    fprintf(stderr, "embed: %s: %s\n", what, name);
    exit(1);
}

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        die("out of memory", name);
    return path;
}

static void collect(struct files *files, const char *folder, size_t prefix)
{
    DIR *dir = opendir(folder);
    if (!dir)
        die("cannot open folder", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = join(folder, entry->d_name);
        struct stat st;
        if (stat(path, &st) < 0)
            die("cannot read", path);
        if (S_ISDIR(st.st_mode)) {
            collect(files, path, prefix);
            free(path);
        } else if (files->count == MAX_FILES) {
            die("too many files", folder);
        } else {
            files->paths[files->count++] = path;
        }
    }
    closedir(dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_digest(const unsigned char *data, size_t len)
{
    struct sha256_ctx context;
    unsigned char hash[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    sha256_update(&context, len, data);
    sha256_digest(&context, sizeof hash, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        printf("%02x", hash[i]);
}

/* One string literal a line of at most 64 bytes, in octal where a byte is not plain. */
static void print_literal(const unsigned char *data, size_t len)
{
    putchar('"');
    for (size_t i = 0; i < len; i++) {
        if (data[i] >= ' ' && data[i] < 0x7f && data[i] != '"' && data[i] != '\\' && data[i] != '?')
            putchar(data[i]);
        else
            printf("\\%03o", data[i]);
        if (data[i] == '\n' || i % 64 == 63)
            printf("\"\n     \"");
    }
    putchar('"');
}

static void print_file(const char *path, const char *name)
{
    static unsigned char data[MAX_BYTES];
    FILE *file = fopen(path, "rb");
    if (!file)
        die("cannot open", path);
    size_t len = fread(data, 1, sizeof data, file);
    if (len == sizeof data)
        die("file is too large", path);
    fclose(file);
    printf("    {\"%s\",\n     ", name);
    print_literal(data, len);
    printf(",\n     %zu, \"", len);
    print_digest(data, len);
    printf("\"},\n");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage", "embed FOLDER > FILE.c");
    static struct files files;
    size_t prefix = strlen(argv[1]) + 1;
    collect(&files, argv[1], prefix);
    qsort(files.paths, files.count, sizeof files.paths[0], by_name);
    printf("/* Made by tools/embed.c from %s/. */\n#include \"app/base/template.h\"\n\n", argv[1]);
    printf("const struct template_file template_table[] = {\n");
    for (size_t i = 0; i < files.count; i++) {
        print_file(files.paths[i], files.paths[i] + prefix);
        free(files.paths[i]);
    }
    printf("};\nconst size_t template_table_count = sizeof template_table / sizeof template_table[0];\n");
    return 0;
}
