/* What a replica's disk does beside the loop, on a disk that fails. */
#include "tests/support/test.h"

#include "raft-glue/replica_disk.h"
#include "tests/unit/raft-glue/replica_fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_done(void *context)
{
    (void)context;
}

/* Begin to write an entry, fail, and close meanwhile. Does not return. */
static void fail_while_closing(void)
{
    static struct fixture f;
    static struct replica_disk disk;
    uv_loop_t loop;
    fixture_open(&f, 3, 3);
    uv_loop_init(&loop);
    replica_disk_init(&disk, &loop, &f.clock, f.replica, f.storage.log, on_done, NULL);
    struct fixture_entry entry = fixture_command(1);
    fixture_append(&f, 2, 1, 1, 1, 1, &entry, 1);
    sim_disk_die_after(f.disk, 0);
    replica_disk_pump(&disk);
    replica_disk_close(&disk);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(0);
}

/* The group may be opened again by the same process, as when its store is built anew. */
static void a_write_that_fails_while_the_replica_closes_ends_the_process(void **state)
{
    (void)state;
    char said[1024] = "";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        fail_while_closing();
    }
    close(ends[1]);
    FILE *words = fdopen(ends[0], "r");
    (void)fread(said, 1, sizeof said - 1, words); // Until it ends.
    fclose(words);
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 70);
    assert_non_null(strstr(said, "the log or the term and vote cannot be written"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails_while_the_replica_closes_ends_the_process),
    };
    return cmocka_run_group_tests_name("replica_disk", tests, NULL, NULL);
}
