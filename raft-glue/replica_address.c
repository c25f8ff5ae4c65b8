#include "raft-glue/replica_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void replica_address_format(struct host host, char to[REPLICA_ADDRESS_SIZE])
{
    snprintf(to, REPLICA_ADDRESS_SIZE, "%u.%u.%u.%u:%u", host.address >> 24,
             (host.address >> 16) & 0xFF, (host.address >> 8) & 0xFF, host.address & 0xFF,
             host.port & 0xFFFF);
}

enum status replica_address_parse(const char *text, struct host *host)
{
    char address[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof address) {
        return STATUS_MALFORMED;
    }
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = '\0';
    struct in_addr in;
    char *end = NULL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (inet_pton(AF_INET, address, &in) != 1 || colon[1] < '0' || colon[1] > '9' || *end != '\0' ||
        port == 0 || port > UINT16_MAX) {
        return STATUS_MALFORMED;
    }
    *host = (struct host){.address = ntohl(in.s_addr), .port = (uint32_t)port};
    return STATUS_OK;
}
