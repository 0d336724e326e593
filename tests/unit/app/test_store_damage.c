/* SQLite on a bad day: a damaged file is named as such, a backup that has no room leaves nothing behind. */
#include "store_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { ARTIFACT = 3 << 20, SKIPPED = 77 };

/* Three MiB that cannot be made smaller. */
static void fill(struct store *store)
{
    struct error err = {0};
    AUTO_FREE char *bytes = malloc(ARTIFACT);
    sqlite3_randomness(ARTIFACT, bytes);
    NEEDS(store_artifact_put(store, add_job(store, "shop", "key"), "log", bytes, ARTIFACT, &err), &err);
}

static size_t files_in(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            count++;
            fprintf(stderr, "%s is there\n", entry->d_name);
        }
    closedir(dir);
    return count;
}

/* Runs in a child, whose mounts and limits are gone with it. */
static void in_child(struct fixture *fixture, int (*work)(struct fixture *fixture))
{
    int status = 0;
    store_close(fixture->store); /* SQLite's connections do not go through a fork */
    fixture->store = NULL;
    pid_t pid = fork();
    if (pid == 0)
        _exit(work(fixture));
    waitpid(pid, &status, 0);
    fixture->store = open_or_fail(fixture->url);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int complain(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    return 1;
}

static int on_a_small_disk(struct fixture *fixture)
{
    struct error err = {0};
    AUTO_FREE char *disk = text_format("%s/disk", fixture->folder);
    AUTO_FREE char *path = text_format("%s/copy.db", disk);
    if (fs_make_dirs(disk, 0700, NULL) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("small", disk, "tmpfs", 0, "size=1m") < 0)
        return SKIPPED; /* not ours to mount */
    struct store *store = store_open(fixture->url, &err);
    if (!store || store_backup(store, path, &err) == 0)
        return complain("it had room?", &err);
    if (err.code != ERROR_STORE || !strstr(err.message, "make room") || !strstr(err.message, path))
        return complain("the message", &err);
    store_close(store);
    return files_in(disk) == 0 ? 0 : complain("half a file", &err);
}

static void a_backup_without_room_says_so_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    in_child(fixture, on_a_small_disk);
}

/* No statvfs() tells of this bound. */
static int with_small_files(struct fixture *fixture)
{
    struct error err = {0};
    const struct rlimit small = {1 << 20, 1 << 20};
    AUTO_FREE char *folder = text_format("%s/copies", fixture->folder);
    AUTO_FREE char *path = text_format("%s/copy.db", folder);
    struct store *store = store_open(fixture->url, &err);
    signal(SIGXFSZ, SIG_IGN);
    if (!store || fs_make_dirs(folder, 0700, &err) < 0 || setrlimit(RLIMIT_FSIZE, &small) < 0)
        return complain("prepare", &err);
    if (store_backup(store, path, &err) == 0)
        return complain("it had room?", &err);
    store_close(store);
    return err.code == ERROR_STORE && files_in(folder) == 0 ? 0 : complain("half a file", &err);
}

static void a_backup_that_breaks_off_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture->store);
    in_child(fixture, with_small_files);
}

static void damage_is_found_and_a_sound_file_passes(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    fill(fixture->store);
    NEEDS(store_examine(fixture->store, &err), &err);
    store_close(fixture->store); /* writes the log back into the file */
    FILE *file = fopen(fixture->path, "r+");
    assert_non_null(file);
    for (long page = 3; page < 30; page++) {
        fseek(file, page * 4096, SEEK_SET);
        fwrite("no page looks like this", 1, 23, file);
    }
    fclose(file);
    fixture->store = store_open(fixture->url, &err);
    assert_true(!fixture->store || store_examine(fixture->store, &err) < 0);
    assert_int_equal(err.code, ERROR_STORE);
    assert_non_null(strstr(err.message, "damaged"));
    assert_non_null(strstr(err.message, "restore a backup"));
    assert_null(strchr(err.message, '\n'));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backup_without_room_says_so_and_leaves_nothing),
        TEST(a_backup_that_breaks_off_leaves_nothing),
        TEST(damage_is_found_and_a_sound_file_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
