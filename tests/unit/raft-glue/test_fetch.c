/* Copies of a replica's data, over loopback: one leader and who copies it, on one loop. */
#include "tests/support/test.h"

#include "raft-glue/fetch.h"
#include "raft-glue/fetch_server.h"
#include "raft-glue/replica_host.h"
#include "raft-glue/replica_recover.h"
#include "tests/support/held_port.h"
#include "tests/support/temp_directory.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

enum { ENTRY = 300 * 1024, IMAGE_SIZE = 5 * 1024 * 1024 + 17 };

struct fixture {
    uv_loop_t loop;
    struct log log;
    struct temp_directory leader_directory;
    struct temp_directory copy_directory;
    struct held_port port;
    struct replica_member self;
    struct replica_host *host;
    struct replica_state state;
    uint64_t applied;
    bool closed;
    bool canceled;
    unsigned images_open;
    unsigned images_opened; /* Ever. */
    unsigned images_ahead;  /* So many of the next ones claim an entry more than there is. */
    size_t image_given;
    struct buf image; /* As it arrived. */
    bool image_ended;
    size_t cancel_after; /* Pieces of the image; 0: never. */
    bool damaged;        /* The leader said so of itself. */
};

/* ---- The leader ---- */

static void on_apply(void *context, const struct replica_entry *entry, void *proposal)
{
    struct fixture *f = context;
    (void)proposal;
    f->applied = entry->index;
}

static void on_drop(void *context, void *proposal, enum status why)
{
    (void)context;
    (void)proposal;
    (void)why;
}

static void on_state(void *context, const struct replica_state *state)
{
    ((struct fixture *)context)->state = *state;
}

static uint8_t image_byte(size_t at)
{
    return (uint8_t)(at * 31 + at / 1000);
}

static void *image_open(void *context, uint64_t *applied)
{
    struct fixture *f = context;
    f->images_open++;
    f->images_opened++;
    f->image_given = 0;
    *applied = f->applied / 2; // A checkpoint of some time ago.
    if (f->images_ahead > 0) {
        f->images_ahead--;
        *applied = f->applied + 1;
    }
    return f;
}

static enum status image_read(void *image, struct buf *out, size_t size, bool *end)
{
    struct fixture *f = image;
    size_t rest = IMAGE_SIZE - f->image_given;
    size = size < rest ? size : rest;
    uint8_t *to = buf_extend(out, size);
    for (size_t i = 0; i < size; i++) {
        to[i] = image_byte(f->image_given + i);
    }
    f->image_given += size;
    *end = f->image_given == IMAGE_SIZE;
    return STATUS_OK;
}

static void image_close(void *image)
{
    ((struct fixture *)image)->images_open--;
}

static void on_damaged(void *context, bool stuck)
{
    struct fixture *f = context;
    f->damaged = !stuck;
}

/* A voter that does not exist: with it we do not lead. */
static const struct replica_member nobody = {3, {INADDR_LOOPBACK, 9}};

static void start_host(struct fixture *f, uint64_t applied)
{
    struct replica_host_options options = {
        .loop = &f->loop,
        .log = &f->log,
        .clock = clock_system(),
        .directory = f->leader_directory.path,
        .cluster = slice_text("test"),
        .group = slice_text("broker-a"),
        .id = 1,
        .members = &f->self,
        .member_count = 1,
        .election_timeout_ms = 50,
        .heartbeat_timeout_ms = 10,
        .applied_index = applied,
        .machine = {.context = f, .apply = on_apply, .drop = on_drop, .on_state = on_state},
        .image = {f, image_open, image_read, image_close},
        .on_damaged = on_damaged,
        .needs_context = f,
    };
    char *error = NULL;
    f->closed = false;
    assert_int_equal(replica_host_start(&options, &f->host, &error), STATUS_OK);
}

static void start_leader(struct fixture *f)
{
    start_host(f, 0);
    while (f->state.role != REPLICA_LEADER) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void propose_sized(struct fixture *f, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *payload = calloc(1, size);
        payload[0] = (uint8_t)i;
        assert_int_equal(replica_host_propose(f->host, payload, size, f), STATUS_OK);
        struct replica_view view;
        do {
            uv_run(&f->loop, UV_RUN_ONCE);
            replica_host_view(f->host, &view);
        } while (view.applied_index < view.last_index);
    }
}

static void propose(struct fixture *f, unsigned count)
{
    propose_sized(f, count, ENTRY);
}

/* ---- Who copies ---- */

static enum status sink_begin(void *context)
{
    struct fixture *f = context;
    buf_clear(&f->image);
    f->image_ended = false;
    return STATUS_OK;
}

static enum status sink_put(void *context, struct slice piece)
{
    struct fixture *f = context;
    buf_put_slice(&f->image, piece);
    if (f->cancel_after > 0 && --f->cancel_after == 0) {
        f->canceled = true;
    }
    return STATUS_OK;
}

static enum status sink_end(void *context)
{
    struct fixture *f = context;
    f->image_ended = true;
    return STATUS_OK;
}

/* A clock in a hurry: each look at it takes a second. */
static uint64_t hurried_ms(void *context)
{
    static uint64_t now_ms;
    (void)context;
    return now_ms += 1000;
}

static enum status fetch_reaching(struct fixture *f, const struct term_vote_state *state,
                                  uint64_t reach)
{
    static const struct replica_identity identity = {.number = 7, .begun = true};
    struct replica_voter server = {.id = 1};
    replica_address_format(f->self.raft_host, server.address);
    const struct clock hurried = {.monotonic_ms = hurried_ms, .context = f};
    struct fetch_options options = {
        .loop = &f->loop,
        .log = &f->log,
        .clock = reach == 0 ? clock_system() : &hurried,
        .segment_size = SEGMENT_SIZE,
        .cluster = slice_text("test"),
        .group = slice_text("broker-a"),
        .id = 2,
        .reach = reach,
        .identity = &identity,
        .servers = &server,
        .server_count = 1,
        .sink = {f, sink_begin, sink_put, sink_end},
        .state = *state,
        .canceled = &f->canceled,
    };
    assert_int_equal(directory_posix_open(f->copy_directory.path, &options.directory), STATUS_OK);
    enum status status = fetch_run(&options);
    directory_posix_close(&options.directory);
    return status;
}

static enum status fetch(struct fixture *f, const struct term_vote_state *state)
{
    return fetch_reaching(f, state, 0);
}

/* Open what was copied as replica 2 would. */
static void open_copy(struct fixture *f, struct directory *directory,
                      struct replica_storage *storage)
{
    assert_int_equal(directory_posix_open(f->copy_directory.path, directory), STATUS_OK);
    struct replica_storage_options options = {
        .log = {.directory = *directory,
                .log = &f->log,
                .group = replica_group_identity(slice_text("test"), slice_text("broker-a")),
                .segment_size = SEGMENT_SIZE,
                .cache_size = SEGMENT_SIZE},
        .replica = 2,
    };
    char *error = NULL;
    if (replica_storage_open(storage, &options, &error) != STATUS_OK) {
        fail_msg("the copy cannot be opened: %s", error);
    }
}

static void assert_whole(struct fixture *f)
{
    struct replica_view view;
    struct directory directory;
    struct replica_storage storage;
    replica_host_view(f->host, &view);
    open_copy(f, &directory, &storage);
    assert_int_equal(segment_log_last_index(storage.log), view.commit_index);
    assert_int_equal(segment_log_first_index(storage.log), view.first_index);
    assert_int_equal(segment_log_end_position(storage.log), view.log_end_position);
    struct replica_identity identity;
    assert_int_equal(replica_identity_open(&directory, 99, &identity), STATUS_OK);
    assert_true(identity.number == 7 && identity.begun);
    replica_storage_close(&storage);
    directory_posix_close(&directory);
    assert_true(f->image_ended);
    assert_int_equal(f->image.size, IMAGE_SIZE);
    for (size_t i = 0; i < IMAGE_SIZE; i += 997) {
        assert_int_equal(f->image.data[i], image_byte(i));
    }
}

/* ---- Fixture ---- */

static struct fixture *fixture_open(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    log_init(&f->log, stderr, getenv("VERBOSE") ? LOG_DEBUG : LOG_SILENT, "test");
    uv_loop_init(&f->loop);
    temp_directory_make(&f->leader_directory);
    temp_directory_make(&f->copy_directory);
    held_port_take(&f->port);
    f->self = (struct replica_member){1, {INADDR_LOOPBACK, f->port.number}};
    start_leader(f);
    return f;
}

static void on_closed(void *context)
{
    ((struct fixture *)context)->closed = true;
}

static void stop_host(struct fixture *f)
{
    replica_host_close(f->host, on_closed, f);
    while (!f->closed) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void fixture_close(struct fixture *f)
{
    stop_host(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->images_open, 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    temp_directory_remove(&f->leader_directory);
    temp_directory_remove(&f->copy_directory);
    held_port_release(&f->port);
    buf_close(&f->image);
    free(f);
}

/* One that has nothing of what the first one had. */
static void start_another_leader(struct fixture *f)
{
    stop_host(f);
    temp_directory_remove(&f->leader_directory);
    temp_directory_make(&f->leader_directory);
    f->applied = 0;
    f->state = (struct replica_state){0};
    start_leader(f);
}

/* ---- Tests ---- */

static void a_copy_has_the_state_and_all_committed_entries(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 40);
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_whole(f);
    fixture_close(f);
}

static void a_copy_of_a_cut_log_begins_where_that_does(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 500); // More than two segments.
    struct replica_view view;
    replica_host_view(f->host, &view);
    replica_host_machine_durable(f->host, view.applied_index);
    replica_host_cut(f->host, SEGMENT_SIZE);
    do {
        propose(f, 1);
        replica_host_view(f->host, &view);
    } while (view.first_index == 1);
    f->applied = view.applied_index * 2; // What the image says of itself.
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_whole(f);
    // It does not go on at a member whose log reaches back further: its state may need that.
    start_another_leader(f);
    propose(f, 5);
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_whole(f);
    fixture_close(f);
}

static uint64_t first_index(const struct fixture *f)
{
    struct replica_view view;
    replica_host_view(f->host, &view);
    return view.first_index;
}

/* The base of a cut is stored at once, but before C-Raft lets go of entries its snapshot has to
 * move on. */
static void a_copy_begins_behind_a_cut_that_is_not_carried_out_yet(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 250);
    assert_int_equal(
        replica_host_change(f->host, nobody.id, nobody.raft_host, REPLICA_MEMBER_STANDBY),
        STATUS_OK);
    propose(f, 500); // More than three segments.
    replica_host_machine_durable(f->host, f->applied);
    replica_host_cut(f->host, SEGMENT_SIZE);
    while (first_index(f) == 1) {
        propose_sized(f, 1, 10);
    }
    uint64_t first = first_index(f);
    replica_host_cut(f->host, 2 * (uint64_t)SEGMENT_SIZE);
    f->applied *= 2; // What the image says of itself.
    struct directory directory;
    struct replica_storage storage;
    uint64_t copied = 0;
    for (int i = 0; i < 100 && copied <= first; i++) {
        temp_directory_remove(&f->copy_directory);
        temp_directory_make(&f->copy_directory);
        assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
        open_copy(f, &directory, &storage);
        copied = segment_log_first_index(storage.log);
        replica_storage_close(&storage);
        directory_posix_close(&directory);
    }
    assert_true(copied > first);
    assert_int_equal(first_index(f), first);
    fixture_close(f);
}

static void an_interrupted_copy_goes_on_where_it_stopped(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 20);
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    propose(f, 20);
    f->cancel_after = 2;
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_CANCELED);
    f->canceled = false;
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_whole(f);
    fixture_close(f);
}

/* The group was recovered by a member that had lacked what was copied. */
static void what_was_copied_of_a_history_that_was_given_up_is_copied_anew(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 20);
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    start_another_leader(f);
    propose_sized(f, 40, ENTRY / 2);
    f->cancel_after = 20; // Pieces of images: it would try for ever.
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_whole(f);
    fixture_close(f);
}

static void damage_segment(const struct temp_directory *directory, long at)
{
    char path[sizeof directory->path + 32];
    snprintf(path, sizeof path, "%s/segment-%016x", directory->path, 0U);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 0x10, file);
    fclose(file);
}

/* Otherwise it would be tried for ever, each time with the whole state. */
static void a_leader_that_cannot_read_what_is_to_be_copied_says_so(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 40);
    damage_segment(&f->leader_directory, 20 * ENTRY);
    f->cancel_after = 100;
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_CANCELED);
    assert_true(f->damaged);
    fixture_close(f);
}

static void a_state_that_is_ahead_of_the_log_is_copied_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 5);
    f->images_ahead = 1;
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_int_equal(f->images_opened, 2);
    assert_whole(f);
    fixture_close(f);
}

static void the_copy_of_a_lost_member_knows_how_far_it_must_get(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 10);
    struct replica_view view;
    replica_host_view(f->host, &view);
    struct term_vote_state lost = {
        .term = view.state.term, .voted_for = 2, .rejoin_term = view.state.term};
    assert_int_equal(fetch(f, &lost), STATUS_OK);
    struct directory directory;
    struct replica_storage storage;
    open_copy(f, &directory, &storage);
    assert_int_equal(storage.state.term, view.state.term);
    assert_int_equal(storage.state.voted_for, 2);
    assert_int_equal(storage.state.rejoin_index, view.last_index);
    replica_storage_close(&storage);
    directory_posix_close(&directory);
    // A leader of an older term than ours may lack what we acknowledged: its word counts nothing.
    lost =
        (struct term_vote_state){.term = view.state.term + 5, .rejoin_term = view.state.term + 4};
    assert_int_equal(fetch(f, &lost), STATUS_OK);
    open_copy(f, &directory, &storage);
    assert_int_equal(storage.state.term, view.state.term + 5);
    assert_int_equal(storage.state.rejoin_index, 0);
    replica_storage_close(&storage);
    directory_posix_close(&directory);
    fixture_close(f);
}

/* The leader gets a voter that does not exist, and loses its majority. Returns how far it knows the
 * log to be committed. */
static uint64_t lose_leadership(struct fixture *f)
{
    struct replica_view view;
    assert_int_equal(
        replica_host_change(f->host, nobody.id, nobody.raft_host, REPLICA_MEMBER_VOTER), STATUS_OK);
    do {
        uv_run(&f->loop, UV_RUN_ONCE);
        replica_host_view(f->host, &view);
    } while (view.state.role == REPLICA_LEADER || view.last_index == view.commit_index);
    assert_int_equal(view.last_index, view.commit_index + 1); // The change is not.
    return view.commit_index;
}

static void assert_copied_until(struct fixture *f, uint64_t index)
{
    struct directory directory;
    struct replica_storage storage;
    open_copy(f, &directory, &storage);
    assert_int_equal(segment_log_last_index(storage.log), index);
    assert_int_equal(storage.state.term, 9);
    assert_int_equal(storage.state.voted_for, 3);
    assert_int_equal(storage.state.rejoin_index, 0); // Only a leader could tell.
    replica_storage_close(&storage);
    directory_posix_close(&directory);
    assert_true(f->image_ended);
}

static const struct term_vote_state voted = {.term = 9, .voted_for = 3, .rejoin_term = 1};

static void a_member_that_does_not_lead_gives_what_it_knows_to_be_committed(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 10);
    uint64_t commit = lose_leadership(f);
    assert_int_equal(fetch_reaching(f, &voted, commit + 1), STATUS_TIMED_OUT);
    assert_int_equal(f->images_opened, 0);
    assert_int_equal(fetch_reaching(f, &voted, commit), STATUS_OK);
    assert_copied_until(f, commit);
    fixture_close(f);
}

/* Who does not know what it may have acknowledged needs the leader. */
static void without_a_place_to_reach_only_a_leader_gives_a_copy(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 1);
    lose_leadership(f);
    struct fetch_client client = {.loop = &f->loop, .canceled = &f->canceled};
    struct hello hello = {
        .version = HELLO_VERSION,
        .kind = HELLO_FETCH,
        .sender = 2,
        .receiver = 1,
        .cluster = slice_text("test"),
        .group = slice_text("broker-a"),
    };
    enum hello_answer answer = HELLO_WELCOME;
    struct fetch_answer got;
    assert_int_equal(fetch_client_connect(&client, f->self.raft_host, &hello, &answer), STATUS_OK);
    assert_int_equal(fetch_client_call(&client, &(struct fetch_request){.type = FETCH_OPEN}, &got),
                     STATUS_NOT_LEADER);
    fetch_client_close(&client);
    fixture_close(f);
}

/* It was interrupted, and goes on at a member that knows of fewer committed entries. */
static void a_copy_that_has_more_than_the_next_member_knows_of_is_whole(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 10);
    uint64_t commit = lose_leadership(f);
    assert_int_equal(fetch_reaching(f, &voted, commit), STATUS_OK);
    stop_host(f);
    f->applied = 6;
    start_host(f, 6);
    struct replica_view view;
    replica_host_view(f->host, &view);
    assert_int_equal(view.commit_index, 6);
    assert_int_equal(fetch_reaching(f, &voted, 6), STATUS_OK);
    assert_copied_until(f, commit);
    fixture_close(f);
}

static void nobody_copies_from_another_group(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    struct fetch_client client = {.loop = &f->loop, .canceled = &f->canceled};
    struct hello hello = {
        .version = HELLO_VERSION,
        .kind = HELLO_FETCH,
        .sender = 2,
        .receiver = 1,
        .cluster = slice_text("test"),
        .group = slice_text("broker-b"),
    };
    enum hello_answer answer = HELLO_WELCOME;
    assert_int_equal(fetch_client_connect(&client, f->self.raft_host, &hello, &answer),
                     STATUS_REFUSED);
    assert_int_equal(answer, HELLO_OTHER_GROUP);
    // And of the right one only in order: no image before it was opened.
    hello.group = slice_text("broker-a");
    assert_int_equal(fetch_client_connect(&client, f->self.raft_host, &hello, &answer), STATUS_OK);
    struct fetch_answer got;
    assert_int_equal(fetch_client_call(&client, &(struct fetch_request){.type = FETCH_IMAGE}, &got),
                     STATUS_INVALID_ARGUMENT);
    assert_int_equal(
        fetch_client_call(&client, &(struct fetch_request){.type = FETCH_ENTRIES, .index = 1000},
                          &got),
        STATUS_NOT_FOUND);
    fetch_client_close(&client);
    fixture_close(f);
}

static void on_patience(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* One that lost power in the middle never closes its connection, nor does it use it again. */
static void a_member_that_comes_back_takes_the_place_of_its_older_copies(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 5);
    struct fetch_client clients[FETCH_SESSIONS_MAX];
    struct hello hello = {
        .version = HELLO_VERSION,
        .kind = HELLO_FETCH,
        .sender = 2,
        .receiver = 1,
        .cluster = slice_text("test"),
        .group = slice_text("broker-a"),
    };
    for (size_t i = 0; i < FETCH_SESSIONS_MAX; i++) {
        enum hello_answer answer = HELLO_WELCOME;
        hello.sender = 2 + i; // The last place is another member's.
        clients[i] = (struct fetch_client){.loop = &f->loop, .canceled = &f->canceled};
        assert_int_equal(fetch_client_connect(&clients[i], f->self.raft_host, &hello, &answer),
                         STATUS_OK);
    }
    uv_timer_t patience;
    uv_timer_init(&f->loop, &patience);
    patience.data = &f->canceled;
    uv_timer_start(&patience, on_patience, 10000, 0);
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    assert_whole(f);
    uv_close((uv_handle_t *)&patience, NULL);
    for (size_t i = 0; i < FETCH_SESSIONS_MAX; i++) {
        fetch_client_close(&clients[i]);
    }
    fixture_close(f);
}

static void a_survivor_makes_itself_the_only_member(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    propose(f, 5);
    assert_int_equal(fetch(f, &(struct term_vote_state){.term = 1}), STATUS_OK);
    struct replica_recover_options options = {
        .log = &f->log,
        .group = replica_group_identity(slice_text("test"), slice_text("broker-a")),
        .id = 2,
        .address = "127.0.0.1:9",
        .segment_size = SEGMENT_SIZE,
    };
    char *error = NULL;
    assert_int_equal(directory_posix_open(f->copy_directory.path, &options.directory), STATUS_OK);
    assert_int_equal(replica_recover_alone(&options, &error), STATUS_OK);
    directory_posix_close(&options.directory);
    struct directory directory;
    struct replica_storage storage;
    open_copy(f, &directory, &storage);
    uint64_t at = 0;
    struct raft_configuration configuration =
        configuration_decode(replica_storage_change(&storage, UINT64_MAX, &at));
    assert_true(configuration_lone_voter(&configuration, 2));
    assert_int_equal(at, segment_log_last_index(storage.log));
    assert_int_equal(storage.state.term, segment_log_term(storage.log, at));
    raft_configuration_close(&configuration);
    replica_storage_close(&storage);
    directory_posix_close(&directory);
    fixture_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_has_the_state_and_all_committed_entries),
        cmocka_unit_test(a_copy_of_a_cut_log_begins_where_that_does),
        cmocka_unit_test(a_copy_begins_behind_a_cut_that_is_not_carried_out_yet),
        cmocka_unit_test(an_interrupted_copy_goes_on_where_it_stopped),
        cmocka_unit_test(what_was_copied_of_a_history_that_was_given_up_is_copied_anew),
        cmocka_unit_test(a_leader_that_cannot_read_what_is_to_be_copied_says_so),
        cmocka_unit_test(a_state_that_is_ahead_of_the_log_is_copied_again),
        cmocka_unit_test(the_copy_of_a_lost_member_knows_how_far_it_must_get),
        cmocka_unit_test(a_member_that_does_not_lead_gives_what_it_knows_to_be_committed),
        cmocka_unit_test(without_a_place_to_reach_only_a_leader_gives_a_copy),
        cmocka_unit_test(a_copy_that_has_more_than_the_next_member_knows_of_is_whole),
        cmocka_unit_test(nobody_copies_from_another_group),
        cmocka_unit_test(a_member_that_comes_back_takes_the_place_of_its_older_copies),
        cmocka_unit_test(a_survivor_makes_itself_the_only_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
