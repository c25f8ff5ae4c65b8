/* A port of loopback for a server under test.
 *
 * A socket that is bound to it and does not listen holds it: the kernel gives it to nobody who
 * connects, and whoever listens with SO_REUSEADDR, as libuv does, may do so. */
#ifndef TESTS_SUPPORT_HELD_PORT_H
#define TESTS_SUPPORT_HELD_PORT_H

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct held_port {
    int fd;
    uint16_t number;
};

static inline void held_port_take(struct held_port *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1;
    port->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (port->fd < 0 || setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(port->fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(port->fd, (struct sockaddr *)&address, &size) != 0) {
        abort();
    }
    port->number = ntohs(address.sin_port);
}

static inline void held_port_release(const struct held_port *port)
{
    close(port->fd);
}

#endif
