/* The load generator: connections with a number of slots each, kept busy by a pace.
 *
 * A slot is one request in flight (or one transaction). Closed loop: a slot that becomes free
 * begins the next request at once. Open loop (rate > 0): request i is due at start + i / rate,
 * whether or not slots are free, and its latency counts from then: a stalled broker cannot hide
 * behind a generator that waits for it. Loop thread only. */
#ifndef ADMIN_BENCH_H
#define ADMIN_BENCH_H

#include "admin/brokers.h"
#include "admin/frame_template.h"
#include "admin/histogram.h"
#include "common/base/name.h"
#include "common/net/conn.h"

#include <jansson.h>

struct bench;
struct bench_conn;

/* Options of every kind of load. */
struct bench_options {
    const char *group;
    int64_t connections; /* Per broker. */
    int64_t depth;       /* Slots per connection. */
    int64_t rate;        /* Requests per second in all; 0: as fast as they are answered. */
    int64_t seconds;     /* How long it is measured. */
    int64_t warmup_s;    /* Before that. */
    int64_t size;        /* Of bodies. */
};

struct bench_send_options {
    struct bench_options common;
    const char *topic;
    bool verify; /* Transactions only. */
};

enum { BENCH_CONNECTIONS_MAX = 256, BENCH_DEPTH_MAX = 4096, BENCH_CODES_MAX = 32 };

/* A broker to load. */
struct bench_target {
    struct name name;
    struct host host; /* Where it was last said to be. */
    int32_t queue_count;
    uint32_t queue_at; /* The queue that is next. */
};

struct bench_slot {
    bool busy;
    uint64_t intended_ns;
    uint64_t sent_ns;
    uint64_t unique; /* Low half of the message id. */
};

struct bench_conn {
    struct bench *bench;
    struct bench_target *target;
    struct conn *conn;        /* NULL while there is none. */
    uint64_t reconnect_at_ns; /* While there is none. */
    uint32_t slot_count;
    uint32_t free_count;
    uint32_t *free_slots;
    struct bench_slot *slots;
};

/* What kind of load it is. */
struct bench_kind {
    /* Append the first frame of a slot's request to the connection's output. False: it has nothing
     * to do any more. */
    bool (*start)(struct bench *bench, struct bench_conn *conn, uint32_t slot);
    /* An answer arrived. True: the request is done (bench_count() was called); false: it goes on.
     */
    bool (*on_reply)(struct bench *bench, struct bench_conn *conn, uint32_t slot,
                     const struct command *reply);
    /* The rest may be NULL. A connection was opened, or a second has passed: say who we are. */
    void (*greet)(struct bench *bench, struct bench_conn *conn);
    /* The broker asks something. */
    void (*on_request)(struct bench *bench, struct bench_conn *conn, const struct command *request);
    /* All requests are answered; may the connections go? Asked every FINISH_NS until it is true. */
    bool (*finished)(struct bench *bench);
};

struct bench_counts {
    uint64_t done;     /* Requests that succeeded. */
    uint64_t messages; /* As many, unless one request carries several. */
    uint64_t bytes;    /* Of bodies. */
    uint64_t failed;
    struct histogram latency; /* Of those that succeeded. */
};

struct bench {
    struct cli *cli;
    const struct bench_options *options;
    const struct bench_kind *kind;
    const char *topic;
    void *context; /* The kind's. */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_prepare_t pump; /* Begins what is due before the loop sleeps. */
    struct bench_target *targets;
    size_t target_count;
    struct bench_conn *conns;
    size_t conn_count;
    size_t conn_next; /* Open loop: whose turn it is. */
    uint64_t unique_high;
    uint64_t unique_low;
    uint64_t start_ns;   /* Of the pace. */
    uint64_t issued;     /* Since then. */
    uint64_t second_ns;  /* When the present interval began. */
    uint64_t checked_ns; /* When connections were last looked after. */
    uint64_t greeted_ns;
    uint64_t finish_asked_ns;
    bool measuring; /* Warm-up is over. */
    bool draining;  /* Nothing new is begun. */
    bool stopping;
    uint64_t measured_from_ns;
    uint64_t measured_to_ns;
    struct bench_counts total;
    struct bench_counts second;
    uint64_t connections_failed; /* Lost while idle, or never made. */
    struct conn *route_conn;     /* While the route is being asked for. */
    uint32_t route_turn;
    struct {
        int32_t code; /* Response code, or negative: an enum status. */
        uint64_t count;
    } failures[BENCH_CODES_MAX];
    size_t failure_count;
};

/* A load of that kind; the caller frees it with bench_close(). Options are borrowed. */
struct bench *bench_new(struct cli *cli, const struct bench_send_options *options,
                        const struct bench_kind *kind, void *context);

/* Run a load on the given targets until its time is over (or nothing is left to do), and print a
 * line every second. Errors: said to the person. */
enum cli_exit bench_run(struct bench *bench);

/* A request succeeded (called by on_reply): counts it by its slot. */
void bench_count(struct bench *bench, const struct bench_slot *slot, uint64_t messages,
                 uint64_t bytes);
/* A request failed, with a response code or a (negative) status. */
void bench_count_failure(struct bench *bench, int32_t code);

/* The opaque of a slot. */
uint32_t bench_opaque(uint32_t slot);

/* Aim at the brokers of a route that can be written to (or read from). Borrows the route. */
enum cli_exit bench_aim(struct bench *bench, const struct route *route, bool write);

/* Ask where the brokers are now; the answer changes targets. Nothing if that is under way. */
void bench_route_refresh(struct bench *bench);

/* What was measured: a new object. */
json_t *bench_result(const struct bench *bench);
/* Print it. Takes result. */
void bench_print(struct cli *cli, json_t *result);

void bench_close(struct bench *bench);

/* --- The kinds --- */

enum cli_exit bench_send(struct cli *cli, const void *options, char **arguments);
enum cli_exit bench_txn(struct cli *cli, const void *options, char **arguments);
enum cli_exit bench_pull(struct cli *cli, const void *options, char **arguments);

/* The template of a SEND_MESSAGE_V2 with opaque, time, queue and message id to be patched. */
void bench_send_template(struct frame_template *template, const struct bench_options *options,
                         const char *topic, bool half);
/* Append such a send for a slot. */
void bench_put_send(struct bench *bench, struct bench_conn *conn, uint32_t slot,
                    const struct frame_template *template);

#endif
