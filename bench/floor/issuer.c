/* An issuer that approves everything at once: the far side of the measured switch.

   One thread, one write for each connection and loop turn. Speaks ISO 8583:1987 in ASCII behind a 2-byte length. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mac.h"
#include "message.h"
#include "net.h"

enum { EVENTS_MAX = 256, READ_SIZE = 256 * 1024 };

struct connection {
    int fd;
    struct buffer in, out;
};

static struct mac *answer_mac;       /* NULL: answers carry no MAC */
static int epoll_fd;

static void close_connection(struct connection *connection)
{
    close(connection->fd);
    free(connection->in.data);
    free(connection->out.data);
    free(connection);
}

static void accept_connections(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection)
            die("memory");
        connection->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            die("epoll_ctl");
    }
}

static void put_mac(uint8_t *message, uint32_t size)
{
    mac_write(answer_mac, message, size - MAC_DIGITS, message + size - MAC_DIGITS);
}

/* Answer one message; 0, or -1 when it is not one. */
static int answer(struct connection *connection, const uint8_t *data, uint32_t size)
{
    struct message request;
    if (message_index(data, size, &request) < 0)
        return -1;
    if (data[2] & 1)      /* an answer or an acknowledgement: nothing to do */
        return 0;
    buffer_reserve(&connection->out, FRAME_SIZE_MAX);
    uint8_t *frame = connection->out.data + connection->out.end;
    uint32_t answer_size = message_answer(&request, frame + FRAME_LENGTH_SIZE);
    if (answer_mac && (request.present[64] || request.present[FIELD_LAST]))
        put_mac(frame + FRAME_LENGTH_SIZE, answer_size);
    frame_close(frame, answer_size);
    connection->out.end += FRAME_LENGTH_SIZE + answer_size;
    return 0;
}

/* Everything that one loop turn brings for a connection; -1 when it is to be closed. */
static int serve(struct connection *connection, uint32_t events)
{
    struct buffer *in = &connection->in;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && buffer_read(in, connection->fd, READ_SIZE) < 0)
        return -1;
    for (;;) {
        size_t left = buffer_left(in);
        int size = frame_size(in->data + in->start, left);
        if (size < 0)
            return -1;
        if (size == 0 || (size_t)size > left)
            break;
        uint32_t message_size = (uint32_t)size - FRAME_LENGTH_SIZE;
        if (message_size && answer(connection, in->data + in->start + FRAME_LENGTH_SIZE, message_size) < 0) {
            fprintf(stderr, "issuer: a message of %u bytes is not readable\n", message_size);
            return -1;
        }
        in->start += (size_t)size;
    }
    int unsent = buffer_write(&connection->out, connection->fd);
    if (unsent < 0)
        return -1;
    if (unsent || events & EPOLLOUT) {
        struct epoll_event event = {.events = EPOLLIN | (unsent ? EPOLLOUT : 0), .data.ptr = connection};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"mac", required_argument, NULL, 'm'},
        {"key", required_argument, NULL, 'k'},
        {0},
    };
    const char *algorithm = NULL, *key = "";
    int port = 0, option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'm': algorithm = optarg; break;
        case 'k': key = optarg; break;
        default: return 2;
        }
    }
    if (!port || (algorithm && !(answer_mac = mac_new(algorithm, key)))) {
        fprintf(stderr, "usage: issuer --port PORT [--mac aes-cmac|x9.19 --key HEX]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(port);
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0)
        die("epoll");
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection)
                accept_connections(listener);
            else if (serve(connection, events[i].events) < 0)
                close_connection(connection);
        }
    }
}
