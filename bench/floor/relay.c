/* The floor: the least that any switch on sockets must do, as fast as this machine allows it with one thread.

   Many terminals on one side, one issuer connection on the other. No parsing: the STAN stands at a fixed offset, where
   it is replaced by the relay's own and put back in the answer. Nothing is written more than once a loop turn for
   each connection. What `authswitch serve` costs above this is what a switch adds to a relay. */
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

#include "message.h"
#include "net.h"

enum {
    EVENTS_MAX = 512,
    TERMINAL_READ_SIZE = 4096,
    ISSUER_READ_SIZE = 256 * 1024,
    STAN_DIGITS = 6,
    STAN_COUNT = 1000000,
};

struct terminal {
    int fd;
    uint32_t generation;        /* tells answers of a terminal that is gone from those of the next in its place */
    uint8_t writable_wanted, has_output;
    struct buffer in, out;
};

struct flight {                 /* by the STAN that the issuer sees */
    struct terminal *terminal;  /* NULL: free */
    uint32_t generation;
    uint8_t stan[STAN_DIGITS];  /* the terminal's own */
};

static int epoll_fd, issuer_fd;
static uint32_t stan_offset;    /* in the message */
static struct flight flights[STAN_COUNT];
static uint32_t next_stan = 1;
static struct buffer issuer_in, issuer_out;
static struct terminal *free_terminals[1 << 16];     /* kept, because flights point at them */
static uint32_t free_terminal_count;
static struct terminal *to_flush[1 << 17];
static uint32_t to_flush_count;

static void watch(int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll_fd, operation, fd, &event) < 0)
        die("epoll_ctl");
}

static void accept_terminals(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct terminal *terminal = free_terminal_count ? free_terminals[--free_terminal_count] : calloc(1, sizeof *terminal);
        if (!terminal)
            die("memory");
        terminal->fd = fd;
        terminal->generation++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, terminal);
    }
}

static void close_terminal(struct terminal *terminal)
{
    close(terminal->fd);
    terminal->fd = -1;
    terminal->generation++;
    terminal->in.start = terminal->in.end = terminal->out.start = terminal->out.end = 0;
    if (free_terminal_count < sizeof free_terminals / sizeof *free_terminals)
        free_terminals[free_terminal_count++] = terminal;
}

static void forward_request(struct terminal *terminal, const uint8_t *frame, int size)
{
    while (flights[next_stan].terminal)
        next_stan = next_stan + 1 < STAN_COUNT ? next_stan + 1 : 1;
    struct flight *flight = &flights[next_stan];
    buffer_reserve(&issuer_out, (size_t)size);
    uint8_t *out = issuer_out.data + issuer_out.end;
    memcpy(out, frame, (size_t)size);
    uint8_t *stan = out + FRAME_LENGTH_SIZE + stan_offset;
    memcpy(flight->stan, stan, STAN_DIGITS);
    flight->terminal = terminal;
    flight->generation = terminal->generation;
    write_digits(stan, STAN_DIGITS, next_stan);
    issuer_out.end += (size_t)size;
    next_stan = next_stan + 1 < STAN_COUNT ? next_stan + 1 : 1;
}

static void return_answer(const uint8_t *frame, int size)
{
    uint32_t number = read_digits(frame + FRAME_LENGTH_SIZE + stan_offset, STAN_DIGITS);
    struct flight *flight = number < STAN_COUNT ? &flights[number] : NULL;
    if (!flight || !flight->terminal)
        return;
    struct terminal *terminal = flight->terminal;
    flight->terminal = NULL;
    if (terminal->generation != flight->generation)
        return;
    buffer_reserve(&terminal->out, (size_t)size);
    uint8_t *out = terminal->out.data + terminal->out.end;
    memcpy(out, frame, (size_t)size);
    memcpy(out + FRAME_LENGTH_SIZE + stan_offset, flight->stan, STAN_DIGITS);
    terminal->out.end += (size_t)size;
    if (!terminal->has_output) {
        terminal->has_output = 1;
        to_flush[to_flush_count++] = terminal;
    }
}

/* The next whole frame of a buffer and its size; 0 when there is none, -1 when the stream is broken. A frame too short
   to hold a STAN breaks it too. */
static int next_frame(struct buffer *in, const uint8_t **frame)
{
    size_t left = buffer_left(in);
    int size = frame_size(in->data + in->start, left);
    if (size <= 0 || (size_t)size > left)
        return size < 0 ? -1 : 0;
    if ((uint32_t)size < FRAME_LENGTH_SIZE + stan_offset + STAN_DIGITS)
        return -1;
    *frame = in->data + in->start;
    in->start += (size_t)size;
    return size;
}

static void serve_terminal(struct terminal *terminal, uint32_t events)
{
    const uint8_t *frame;
    int size = 0;
    if (events & EPOLLOUT && !terminal->has_output) {
        terminal->has_output = 1;
        to_flush[to_flush_count++] = terminal;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        size = buffer_read(&terminal->in, terminal->fd, TERMINAL_READ_SIZE);
        if (size >= 0)
            while ((size = next_frame(&terminal->in, &frame)) > 0)
                forward_request(terminal, frame, size);
    }
    if (size < 0)
        close_terminal(terminal);
}

static void serve_issuer(void)
{
    const uint8_t *frame;
    int size;
    if (buffer_read(&issuer_in, issuer_fd, ISSUER_READ_SIZE) < 0)
        die("the issuer closed its connection");
    while ((size = next_frame(&issuer_in, &frame)) > 0)
        return_answer(frame, size);
    if (size < 0)
        die("the issuer sent a frame that is none");
}

static void flush_terminals(void)
{
    for (uint32_t i = 0; i < to_flush_count; i++) {
        struct terminal *terminal = to_flush[i];
        terminal->has_output = 0;
        if (terminal->fd < 0)
            continue;
        int unsent = buffer_write(&terminal->out, terminal->fd);
        if (unsent < 0) {
            close_terminal(terminal);
        } else if (unsent != terminal->writable_wanted) {
            terminal->writable_wanted = (uint8_t)unsent;
            watch(EPOLL_CTL_MOD, terminal->fd, EPOLLIN | (unsent ? EPOLLOUT : 0), terminal);
        }
    }
    to_flush_count = 0;
}

static void flush_issuer(void)
{
    static int writable_wanted;
    int unsent = buffer_write(&issuer_out, issuer_fd);
    if (unsent < 0)
        die("write to the issuer");
    if (unsent != writable_wanted) {
        writable_wanted = unsent;
        watch(EPOLL_CTL_MOD, issuer_fd, EPOLLIN | (unsent ? EPOLLOUT : 0), &issuer_fd);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"issuer", required_argument, NULL, 'i'},
        {"stan-offset", required_argument, NULL, 's'},
        {0},
    };
    int port = 0, issuer_port = 0, option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'i': issuer_port = atoi(optarg); break;
        case 's': stan_offset = (uint32_t)atoi(optarg); break;
        default: return 2;
        }
    }
    if (!port || !issuer_port || !stan_offset || stan_offset > MESSAGE_SIZE_MAX) {
        fprintf(stderr, "usage: relay --port PORT --issuer PORT --stan-offset BYTES\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    int listener = listen_on(port);
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        die("epoll_create1");
    issuer_fd = connect_to(issuer_port);
    set_nonblocking(issuer_fd);
    watch(EPOLL_CTL_ADD, issuer_fd, EPOLLIN, &issuer_fd);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr)
                accept_terminals(listener);
            else if (events[i].data.ptr == &issuer_fd)
                serve_issuer();
            else
                serve_terminal(events[i].data.ptr, events[i].events);
        }
        flush_issuer();
        flush_terminals();
    }
}
