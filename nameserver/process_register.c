/* What brokers say of themselves: 103, 104, 322, 904. */
#include "common/remoting/body_register.h"
#include "common/remoting/message.h"
#include "nameserver/nameserver_internal.h"

static enum status read_identity(const struct command *command, struct registration *out);
static enum status answer_registration(struct request *request,
                                       const struct registration *registration);

enum status nameserver_register_broker(struct request *request)
{
    const struct command *command = request->command;
    struct nameserver *nameserver = request->nameserver;
    struct registration registration = {.owner = request->connection_id};
    bool compressed = false;
    int32_t crc = 0;
    int64_t lease_ms = 0;
    enum status status = read_identity(command, &registration);
    if (status == STATUS_OK) {
        status = command_i32(command, "bodyCrc32", false, &crc);
    }
    if (status == STATUS_OK) {
        status = command_i64(command, "heartbeatTimeoutMillis", false, &lease_ms);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (crc != 0 && (uint32_t)crc != message_body_crc(command->body)) {
        buf_put_text(&nameserver->remark, "crc32 not match");
        return STATUS_MALFORMED;
    }
    status = command_bool(command, "compressed", &compressed);
    if (status == STATUS_OK && command_text(command, "haServerAddr", NAME_MAX_SIZE,
                                            &registration.ha_address) != STATUS_OK) {
        registration.ha_address = (struct slice){0}; // We have none to offer; others ask for it.
    }
    registration.lease_ms = lease_ms > 0 ? (uint64_t)lease_ms : 0;
    registration.drop_absent =
        config_boolean(nameserver->options.settings, "deleteTopicWithBrokerRegistration");
    struct body body;
    if (status == STATUS_OK) {
        status = register_body_decode(command->body, compressed, command->version, &body,
                                      &registration.topics);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct slice master = {0};
    struct slice ha_address;
    bool is_leader =
        registration.id == 0 &&
        route_table_master(nameserver->routes, registration.broker, &master, &ha_address) &&
        slice_equals(master, registration.address);
    status = route_table_register(nameserver->routes, &registration, request->now_ms);
    if (status == STATUS_OK && registration.id == 0 && !is_leader) {
        log_info(nameserver->options.log, "leader registered", "broker=%.*s address=%.*s term=%lld",
                 SLICE_ARGS(registration.broker), SLICE_ARGS(registration.address),
                 (long long)registration.topics.version.state);
    } else if (status == STATUS_STALE) {
        log_warn(nameserver->options.log, "registration of a deposed leader ignored",
                 "broker=%.*s address=%.*s term=%lld", SLICE_ARGS(registration.broker),
                 SLICE_ARGS(registration.address), (long long)registration.topics.version.state);
    }
    body_close(&body);
    if (status == STATUS_STALE) {
        return STATUS_OK; // As RocketMQ does: a deposed leader is not told, and serves no one.
    }
    if (status == STATUS_REFUSED) {
        buf_put_text(&nameserver->remark, "register broker failed");
    }
    return status == STATUS_OK ? answer_registration(request, &registration) : status;
}

static enum status answer_registration(struct request *request,
                                       const struct registration *registration)
{
    struct nameserver *nameserver = request->nameserver;
    struct slice address;
    struct slice ha_address;
    if (registration->id != 0 &&
        route_table_master(nameserver->routes, registration->broker, &address, &ha_address)) {
        command_add(request->response, "haServerAddr", ha_address);
        command_add(request->response, "masterAddr", address);
    }
    if (config_boolean(nameserver->options.settings, "returnOrderTopicConfigToBroker")) {
        (void)kv_config_list(nameserver->kv, slice_text(NAMESPACE_ORDER_TOPIC), &nameserver->body);
    }
    return STATUS_OK;
}

/* The fields that every request of a broker has. */
static enum status read_identity(const struct command *command, struct registration *out)
{
    enum status status = command_text(command, "brokerName", NAME_MAX_SIZE, &out->broker);
    if (status == STATUS_OK) {
        status = command_text(command, "brokerAddr", NAME_MAX_SIZE, &out->address);
    }
    if (status == STATUS_OK) {
        status = command_text(command, "clusterName", NAME_MAX_SIZE, &out->cluster);
    }
    return status == STATUS_OK ? command_i64(command, "brokerId", false, &out->id) : status;
}

enum status nameserver_unregister_broker(struct request *request)
{
    struct registration identity = {0};
    enum status status = read_identity(request->command, &identity);
    if (status == STATUS_OK) {
        route_table_unregister(request->nameserver->routes, identity.broker, identity.address,
                               identity.id);
    }
    return status;
}

enum status nameserver_broker_heartbeat(struct request *request)
{
    struct registration identity = {0};
    int64_t lease_ms = 0;
    enum status status = read_identity(request->command, &identity);
    if (status == STATUS_OK) { // Sic: the name differs from that of REGISTER_BROKER.
        status = command_i64(request->command, "heartbeatTimeoutMills", false, &lease_ms);
    }
    if (status == STATUS_OK) {
        (void)route_table_renew(request->nameserver->routes, identity.address,
                                lease_ms > 0 ? (uint64_t)lease_ms : 0, request->now_ms);
    }
    return status;
}

enum status nameserver_query_data_version(struct request *request)
{
    struct registration identity = {0};
    struct data_version asked;
    struct data_version known;
    enum status status = read_identity(request->command, &identity);
    if (status == STATUS_OK) {
        status = data_version_decode(request->command->body, &asked);
    }
    if (status != STATUS_OK) {
        return status;
    }
    bool changed = true;
    if (route_table_version(request->nameserver->routes, identity.address, &known)) {
        changed = !data_version_equals(&asked, &known);
        data_version_encode(&known, &request->nameserver->body);
        if (!changed) { // It will not register then: this is its sign of life.
            (void)route_table_renew(request->nameserver->routes, identity.address, 0,
                                    request->now_ms);
        }
    }
    command_add(request->response, "changed", slice_text(changed ? "true" : "false"));
    return STATUS_OK;
}
