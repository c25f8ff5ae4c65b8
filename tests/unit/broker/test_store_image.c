/* The state machine's store as an image: what goes in at one end comes out at the other, in
 * whatever pieces it travels. */
#include "tests/support/machine_driver.h"
#include "tests/support/test.h"

#include "broker/host/store_image.h"
#include "broker/host/tree.h"
#include "tests/support/temp_directory.h"

enum { CACHE_SIZE = 1024 * 1024, PIECE_MAX = 4096 };

struct scene {
    struct driver driver;
    struct store_source store;
    struct image_source source;
    struct temp_directory directory;
    char path[TEMP_PATH_MAX + 16];
    struct store_sink sink;
    struct image_sink into;
};

static int open_scene(void **state)
{
    struct scene *scene = mem_zalloc(sizeof *scene);
    driver_open(&scene->driver, NULL);
    driver_put_topic(&scene->driver, "orders", 2);
    scene->store.kv = scene->driver.kv;
    scene->source = store_image_source(&scene->store);
    temp_directory_make(&scene->directory);
    snprintf(scene->path, sizeof scene->path, "%s/copy", scene->directory.path);
    scene->sink = (struct store_sink){.path = scene->path, .cache_size = CACHE_SIZE};
    scene->into = store_image_sink(&scene->sink);
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;
    store_sink_close(&scene->sink);
    driver_close(&scene->driver);
    assert_int_equal(tree_remove(scene->directory.path), STATUS_OK);
    free(scene);
    return 0;
}

static void send_some(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        driver_message(&scene->driver, &(struct driver_message){.topic = "orders",
                                                                .queue_id = (int32_t)(i % 2),
                                                                .keys = "a key",
                                                                .body_size = 10 + i});
        assert_int_equal(driver_apply(&scene->driver).status, STATUS_OK);
    }
}

/* All rows of a store, as text that can be compared. */
static void read_all(struct kv *kv, struct buf *out)
{
    static const uint8_t end[] = {0xFF};
    struct kv_iterator *iterator = kv_iterate(kv, slice_of(NULL, 0), slice_of(end, sizeof end));
    struct slice key;
    struct slice value;
    while (kv_iterator_next(iterator, &key, &value)) {
        buf_put_le32(out, (uint32_t)key.size);
        buf_put_slice(out, key);
        buf_put_le32(out, (uint32_t)value.size);
        buf_put_slice(out, value);
    }
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
}

/* Carry an image over in pieces of `size` bytes; the last `lost` bytes never arrive. */
static enum status carry(struct scene *scene, void *image, size_t size, size_t lost)
{
    struct buf all = {0};
    bool end = false;
    while (!end) {
        assert_int_equal(scene->source.read(image, &all, size, &end), STATUS_OK);
    }
    scene->source.close(image);
    assert_true(all.size > lost);
    all.size -= lost;
    assert_int_equal(scene->into.begin(scene->into.context), STATUS_OK);
    enum status status = STATUS_OK;
    for (size_t at = 0; at < all.size && status == STATUS_OK; at += size) {
        size_t part = all.size - at < size ? all.size - at : size;
        status = scene->into.put(scene->into.context, slice_of(all.data + at, part));
    }
    buf_close(&all);
    return status == STATUS_OK ? scene->into.end(scene->into.context) : status;
}

static void assert_copied(struct scene *scene, const struct buf *expected)
{
    struct kv *copy = NULL;
    char *error = NULL;
    struct buf rows = {0};
    assert_int_equal(kv_open_rocksdb(scene->path, CACHE_SIZE, &copy, &error), STATUS_OK);
    read_all(copy, &rows);
    assert_int_equal(rows.size, expected->size);
    assert_memory_equal(rows.data, expected->data, rows.size);
    buf_close(&rows);
    kv_close(copy);
}

static void rows_arrive_whole_in_pieces_of_any_size(void **state)
{
    struct scene *scene = *state;
    static const size_t sizes[] = {1, 7, 64, 1000, PIECE_MAX};
    send_some(scene, 30);
    driver_checkpoint(&scene->driver, true);
    struct buf expected = {0};
    read_all(scene->driver.kv, &expected);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t applied = 0;
        void *image = scene->source.open(scene->source.context, &applied);
        assert_int_equal(applied, scene->driver.index_last);
        assert_int_equal(carry(scene, image, sizes[i], 0), STATUS_OK);
        assert_copied(scene, &expected);
    }
    buf_close(&expected);
}

static void an_image_stays_as_it_was_when_it_was_opened(void **state)
{
    struct scene *scene = *state;
    send_some(scene, 10);
    driver_checkpoint(&scene->driver, true);
    uint64_t index = scene->driver.index_last;
    struct buf expected = {0};
    read_all(scene->driver.kv, &expected);
    uint64_t applied = 0;
    void *image = scene->source.open(scene->source.context, &applied);
    send_some(scene, 10);
    driver_checkpoint(&scene->driver, true);
    assert_int_equal(applied, index);
    assert_int_equal(carry(scene, image, PIECE_MAX, 0), STATUS_OK);
    assert_copied(scene, &expected);
    buf_close(&expected);
}

static void a_copy_that_ends_within_a_row_is_refused(void **state)
{
    struct scene *scene = *state;
    send_some(scene, 3);
    driver_checkpoint(&scene->driver, true);
    uint64_t applied = 0;
    void *image = scene->source.open(scene->source.context, &applied);
    assert_int_equal(carry(scene, image, PIECE_MAX, 1), STATUS_MALFORMED);
}

static void rows_that_cannot_be_are_refused(void **state)
{
    struct scene *scene = *state;
    static const uint8_t no_key[16] = {0, 0, 0, 0, 1};
    static const uint8_t endless[16] = {1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF};
    const struct slice rows[] = {slice_of(no_key, sizeof no_key),
                                 slice_of(endless, sizeof endless)};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(scene->into.begin(scene->into.context), STATUS_OK);
        assert_int_equal(scene->into.put(scene->into.context, rows[i]), STATUS_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_arrive_whole_in_pieces_of_any_size, open_scene,
                                        close_scene),
        cmocka_unit_test_setup_teardown(an_image_stays_as_it_was_when_it_was_opened, open_scene,
                                        close_scene),
        cmocka_unit_test_setup_teardown(a_copy_that_ends_within_a_row_is_refused, open_scene,
                                        close_scene),
        cmocka_unit_test_setup_teardown(rows_that_cannot_be_are_refused, open_scene, close_scene),
    };
    return cmocka_run_group_tests_name("store_image", tests, NULL, NULL);
}
