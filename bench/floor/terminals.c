/* The load generator: many terminals that send one purchase after the other and check each answer.

   Closed loop: each terminal keeps `--depth` requests in flight. Open loop (`--rate`): requests are planned at equal
   intervals, whatever the answers do, and a latency counts from the planned time, so that a switch that stalls cannot
   hide it by slowing the generator down.

   The requests come from a file: for each terminal one frame (2-byte length and message). The generator counts up
   field 11, sets fields 12 and 13 to the time at which it starts, and computes the MAC where the frame ends in
   field 64: the first `--prepared` of each terminal before the run, so that they cost it nothing. With `--check-macs`
   the MAC of one answer in 64 is verified. One JSON object on standard output says what happened. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "histogram.h"
#include "mac.h"
#include "message.h"
#include "net.h"

enum {
    EVENTS_MAX = 512,
    READ_SIZE = 8192,
    FLIGHTS = 64,               /* requests in flight for each terminal at most; a power of two */
    CHECK_INTERVAL = 64,        /* one answer in so many has its MAC verified */
    SECONDS_MAX = 3600,
    RESPONSE_CODES = 36 * 36,
    GRACE_NS = 2000000000,      /* for the last answers */
};

struct flight {
    uint64_t since_ns;          /* planned time in the open loop, sending time in the closed; 0: free */
    uint32_t stan;
};

struct terminal {
    int fd;
    SSL *tls;                   /* NULL: plain */
    struct mac *mac;
    uint8_t (*prepared)[MAC_DIGITS];       /* of the first requests */
    uint8_t frame[FRAME_SIZE_MAX];
    struct message request;     /* the index of `frame` */
    uint32_t stan;              /* of the last request */
    uint32_t in_flight;
    struct flight flights[FLIGHTS];
    struct buffer in, out;
};

static struct {
    int port, depth, seconds, tls, check_macs;
    double warmup_s, rate;
    uint32_t first_stan, prepared;
    const char *requests, *keys, *algorithm;
} options = {.depth = 1, .seconds = 5, .warmup_s = 1, .first_stan = 1};

static struct terminal *terminals;
static uint32_t terminal_count;
static int epoll_fd;
static uint64_t start_ns, measure_ns, end_ns;     /* the measured time is [measure_ns, end_ns) */

static struct histogram latency, lag;
static uint64_t sent, answered, measured, mismatched, unreadable, dropped, wrong_macs;
static uint64_t by_code[RESPONSE_CODES];
static uint32_t by_second[SECONDS_MAX];

/* Set-up. */

static void read_requests(void)
{
    FILE *file = fopen(options.requests, "rb");
    uint8_t frame[FRAME_SIZE_MAX];
    uint32_t room = 0;
    if (!file)
        die(options.requests);
    while (fread(frame, 1, FRAME_LENGTH_SIZE, file) == FRAME_LENGTH_SIZE) {
        int size = frame_size(frame, FRAME_LENGTH_SIZE);
        if (size < 0 || fread(frame + FRAME_LENGTH_SIZE, 1, (size_t)size - FRAME_LENGTH_SIZE, file) !=
                            (size_t)size - FRAME_LENGTH_SIZE)
            die("a request of the file is cut short");
        if (terminal_count == room) {
            room = room ? 2 * room : 256;
            terminals = realloc(terminals, room * sizeof *terminals);
            if (!terminals)
                die("memory");
        }
        memset(&terminals[terminal_count], 0, sizeof *terminals);
        memcpy(terminals[terminal_count++].frame, frame, (size_t)size);
    }
    fclose(file);
    char now[16];
    time_t seconds = time(NULL);
    strftime(now, sizeof now, "%H%M%S%m%d", localtime(&seconds));
    for (uint32_t i = 0; i < terminal_count; i++) {
        struct terminal *terminal = &terminals[i];
        uint32_t size = (uint32_t)frame_size(terminal->frame, FRAME_LENGTH_SIZE) - FRAME_LENGTH_SIZE;
        struct message *request = &terminal->request;
        if (message_index(terminal->frame + FRAME_LENGTH_SIZE, size, request) < 0 || !request->present[11] ||
            !request->present[41]) {
            fprintf(stderr, "terminals: request %u is not readable, or lacks field 11 or 41\n", i);
            exit(1);
        }
        if (request->present[12])
            memcpy(terminal->frame + FRAME_LENGTH_SIZE + request->offset[12], now, 6);
        if (request->present[13])
            memcpy(terminal->frame + FRAME_LENGTH_SIZE + request->offset[13], now + 6, 4);
        terminal->stan = options.first_stan - 1;
    }
}

static void write_mac(struct terminal *terminal, uint32_t stan, uint8_t out[MAC_DIGITS])
{
    uint8_t *message = terminal->frame + FRAME_LENGTH_SIZE;
    write_digits(message + terminal->request.offset[11], 6, stan);
    mac_write(terminal->mac, message, terminal->request.size - MAC_DIGITS, out);
}

static void prepare_macs(struct terminal *terminal)
{
    terminal->prepared = malloc((size_t)options.prepared * MAC_DIGITS);
    if (options.prepared && !terminal->prepared)
        die("memory");
    for (uint32_t i = 0; i < options.prepared; i++)
        write_mac(terminal, options.first_stan + i, terminal->prepared[i]);
}

static void read_keys(void)
{
    char line[128];
    FILE *file = fopen(options.keys, "r");
    if (!file)
        die(options.keys);
    for (uint32_t i = 0; i < terminal_count; i++) {
        if (!fgets(line, sizeof line, file))
            die("there are fewer keys than terminals");
        line[strcspn(line, "\r\n")] = 0;
        terminals[i].mac = mac_new(options.algorithm, line);
        if (!terminals[i].mac || !terminals[i].request.present[64]) {
            fprintf(stderr, "terminals: the key of terminal %u will not do, or its request has no field 64\n", i);
            exit(1);
        }
        prepare_macs(&terminals[i]);
    }
    fclose(file);
}

static void open_connections(void)
{
    SSL_CTX *context = NULL;
    if (options.tls) {
        context = SSL_CTX_new(TLS_client_method());
        if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION))
            die("TLS");
        SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
    }
    for (uint32_t i = 0; i < terminal_count; i++) {
        struct terminal *terminal = &terminals[i];
        terminal->fd = connect_to(options.port);
        if (context) {
            terminal->tls = SSL_new(context);
            if (!terminal->tls || !SSL_set_fd(terminal->tls, terminal->fd) || SSL_connect(terminal->tls) != 1) {
                ERR_print_errors_fp(stderr);
                exit(1);
            }
        }
        set_nonblocking(terminal->fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = terminal};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, terminal->fd, &event) < 0)
            die("epoll_ctl");
    }
}

/* Sending. */

static void lost(const char *what)
{
    fprintf(stderr, "terminals: %s\n", what);
    exit(1);
}

static void flush(struct terminal *terminal)
{
    int unsent;
    if (terminal->tls) {
        size_t left = buffer_left(&terminal->out), written = 0;
        if (left && SSL_write_ex(terminal->tls, terminal->out.data + terminal->out.start, left, &written) != 1 &&
            SSL_get_error(terminal->tls, 0) != SSL_ERROR_WANT_WRITE)
            lost("a TLS connection broke");
        terminal->out.start += written;
        unsent = written < left;
    } else {
        unsent = buffer_write(&terminal->out, terminal->fd);
    }
    if (unsent < 0)
        lost("a connection broke");
    if (unsent) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = terminal};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, terminal->fd, &event);
    }
}

/* Put one more request into the output; the caller flushes. */
static void queue_request(struct terminal *terminal, uint64_t since_ns)
{
    uint8_t *message = terminal->frame + FRAME_LENGTH_SIZE;
    terminal->stan = terminal->stan % 999999 + 1;
    struct flight *flight = &terminal->flights[terminal->stan % FLIGHTS];
    if (flight->since_ns) {     /* as many unanswered as can be told apart */
        dropped++;
        return;
    }
    *flight = (struct flight){since_ns, terminal->stan};
    write_digits(message + terminal->request.offset[11], 6, terminal->stan);
    if (terminal->mac) {
        uint8_t *mac = message + terminal->request.size - MAC_DIGITS;
        uint32_t number = terminal->stan - options.first_stan;
        if (number < options.prepared)
            memcpy(mac, terminal->prepared[number], MAC_DIGITS);
        else
            write_mac(terminal, terminal->stan, mac);
    }
    size_t size = FRAME_LENGTH_SIZE + terminal->request.size;
    buffer_reserve(&terminal->out, size);
    memcpy(terminal->out.data + terminal->out.end, terminal->frame, size);
    terminal->out.end += size;
    terminal->in_flight++;
    sent++;
}

/* Receiving. */

static int code_index(const uint8_t *code)
{
    int index = 0;
    for (int i = 0; i < 2; i++) {
        int digit = code[i] >= '0' && code[i] <= '9' ? code[i] - '0'
                    : code[i] >= 'A' && code[i] <= 'Z' ? code[i] - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        index = 36 * index + digit;
    }
    return index;
}

static void take_answer(struct terminal *terminal, const uint8_t *data, uint32_t size, uint64_t now)
{
    struct message answer;
    if (message_index(data, size, &answer) < 0 || !answer.present[11] || !answer.present[39] || data[2] != '1') {
        unreadable++;
        return;
    }
    uint32_t stan = read_digits(data + answer.offset[11], 6);
    struct flight *flight = &terminal->flights[stan % FLIGHTS];
    const uint8_t *own_id = terminal->frame + FRAME_LENGTH_SIZE + terminal->request.offset[41];
    int code = code_index(data + answer.offset[39]);
    if (!flight->since_ns || flight->stan != stan || code < 0 ||
        (answer.present[41] && memcmp(data + answer.offset[41], own_id, 8))) {
        mismatched++;
        return;
    }
    if (options.check_macs && answered % CHECK_INTERVAL == 0) {
        uint8_t mac[MAC_DIGITS];
        mac_write(terminal->mac, data, size - MAC_DIGITS, mac);
        if (!answer.present[64] || memcmp(mac, data + size - MAC_DIGITS, MAC_DIGITS))
            wrong_macs++;
    }
    answered++;
    by_code[code]++;
    if (now >= measure_ns && now < end_ns) {
        uint64_t second = (now - measure_ns) / 1000000000u;
        measured++;
        by_second[second < SECONDS_MAX ? second : SECONDS_MAX - 1]++;
        histogram_add(&latency, now - flight->since_ns);
    }
    flight->since_ns = 0;
    terminal->in_flight--;
}

static void fill(struct terminal *terminal)
{
    if (terminal->tls) {
        size_t count;
        for (;;) {
            buffer_reserve(&terminal->in, READ_SIZE);
            if (SSL_read_ex(terminal->tls, terminal->in.data + terminal->in.end, READ_SIZE, &count) != 1)
                break;
            terminal->in.end += count;
        }
        if (SSL_get_error(terminal->tls, 0) != SSL_ERROR_WANT_READ)
            lost("a TLS connection was closed");
    } else if (buffer_read(&terminal->in, terminal->fd, READ_SIZE) < 0) {
        lost("a connection was closed");
    }
}

static void serve(struct terminal *terminal, uint32_t events)
{
    if (events & EPOLLOUT) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = terminal};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, terminal->fd, &event);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        fill(terminal);
        uint64_t now = now_ns();
        for (;;) {
            size_t left = buffer_left(&terminal->in);
            const uint8_t *frame = terminal->in.data + terminal->in.start;
            int size = frame_size(frame, left);
            if (size < 0)
                lost("an answer is longer than any that is expected");
            if (size == 0 || (size_t)size > left)
                break;
            if (size > FRAME_LENGTH_SIZE)
                take_answer(terminal, frame + FRAME_LENGTH_SIZE, (uint32_t)size - FRAME_LENGTH_SIZE, now);
            terminal->in.start += (size_t)size;
        }
        if (!options.rate && now < end_ns)
            while (terminal->in_flight < (uint32_t)options.depth)
                queue_request(terminal, now);
    }
    if (buffer_left(&terminal->out))
        flush(terminal);
}

/* Send what is planned up to now; the time of the next request, or 0 when there is none. */
static uint64_t send_planned(void)
{
    static uint64_t planned_count;
    double interval_ns = 1e9 / options.rate;
    uint64_t now = now_ns();
    for (;;) {
        uint64_t planned = start_ns + (uint64_t)((double)planned_count * interval_ns);
        if (planned >= end_ns)
            return 0;
        if (planned > now)
            return planned;
        struct terminal *terminal = &terminals[planned_count++ % terminal_count];
        if (planned >= measure_ns)
            histogram_add(&lag, now - planned);
        queue_request(terminal, planned);
        flush(terminal);
    }
}

static uint64_t in_flight(void)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < terminal_count; i++)
        total += terminals[i].in_flight;
    return total;
}

static void run(void)
{
    start_ns = now_ns();
    measure_ns = start_ns + (uint64_t)(options.warmup_s * 1e9);
    end_ns = measure_ns + (uint64_t)options.seconds * 1000000000u;
    if (!options.rate) {
        for (uint32_t i = 0; i < terminal_count; i++) {
            while (terminals[i].in_flight < (uint32_t)options.depth)
                queue_request(&terminals[i], now_ns());
            flush(&terminals[i]);
        }
    }
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        uint64_t next = options.rate ? send_planned() : 0;
        uint64_t now = now_ns();
        if (now >= end_ns + GRACE_NS || (now >= end_ns && !in_flight()))
            return;
        uint64_t wait = next ? (next > now ? next - now : 0) : now < end_ns ? end_ns - now : GRACE_NS / 100;
        struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
        int count = epoll_pwait2(epoll_fd, events, EVENTS_MAX, &timeout, NULL);
        if (count < 0 && errno != EINTR)
            die("epoll_pwait2");
        for (int i = 0; i < count; i++)
            serve(events[i].data.ptr, events[i].events);
    }
}

/* The report. */

static void print_quantiles(const char *name, const struct histogram *histogram)
{
    static const struct { const char *name; double share; } QUANTILES[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}};
    printf("\"%s\": {\"mean\": %.1f", name, histogram->count ? (double)histogram->sum / (double)histogram->count : 0.0);
    for (size_t i = 0; i < sizeof QUANTILES / sizeof *QUANTILES; i++)
        printf(", \"%s\": %llu", QUANTILES[i].name,
               (unsigned long long)histogram_quantile(histogram, QUANTILES[i].share));
    printf(", \"max\": %llu}", (unsigned long long)histogram->max);
}

static void report(uint64_t cpu)
{
    uint64_t unanswered = in_flight();
    const char *separator = "";
    printf("{\"terminals\": %u, \"depth\": %d, \"target_rate\": %.1f, \"seconds\": %d, ", terminal_count,
           options.rate ? 0 : options.depth, options.rate, options.seconds);
    printf("\"sent\": %llu, \"answered\": %llu, \"measured\": %llu, \"rate\": %.1f, ", (unsigned long long)sent,
           (unsigned long long)answered, (unsigned long long)measured, (double)measured / options.seconds);
    printf("\"wrong_macs\": %llu, ", (unsigned long long)wrong_macs);
    printf("\"mismatched\": %llu, \"unreadable\": %llu, \"dropped\": %llu, \"unanswered\": %llu, ",
           (unsigned long long)mismatched, (unsigned long long)unreadable, (unsigned long long)dropped,
           (unsigned long long)unanswered);
    printf("\"response_codes\": {");
    for (int i = 0; i < RESPONSE_CODES; i++) {
        static const char DIGITS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        if (!by_code[i])
            continue;
        printf("%s\"%c%c\": %llu", separator, DIGITS[i / 36], DIGITS[i % 36], (unsigned long long)by_code[i]);
        separator = ", ";
    }
    printf("}, \"by_second\": [");
    for (int i = 0; i < options.seconds && i < SECONDS_MAX; i++)
        printf("%s%u", i ? ", " : "", by_second[i]);
    printf("], ");
    print_quantiles("latency_ns", &latency);
    printf(", ");
    print_quantiles("lag_ns", &lag);
    printf(", \"cpu_seconds\": %.3f}\n", (double)cpu / 1e9);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},     {"requests", required_argument, NULL, 'f'},
        {"seconds", required_argument, NULL, 's'},  {"warmup", required_argument, NULL, 'w'},
        {"depth", required_argument, NULL, 'd'},    {"rate", required_argument, NULL, 'r'},
        {"mac", required_argument, NULL, 'm'},      {"keys", required_argument, NULL, 'k'},
        {"tls", no_argument, NULL, 't'},            {"first-stan", required_argument, NULL, 'n'},
        {"check-macs", no_argument, NULL, 'c'},     {"prepared", required_argument, NULL, 'a'},
        {0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'f': options.requests = optarg; break;
        case 's': options.seconds = atoi(optarg); break;
        case 'w': options.warmup_s = atof(optarg); break;
        case 'd': options.depth = atoi(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 'm': options.algorithm = optarg; break;
        case 'k': options.keys = optarg; break;
        case 't': options.tls = 1; break;
        case 'c': options.check_macs = 1; break;
        case 'a': options.prepared = (uint32_t)atoi(optarg); break;
        case 'n': options.first_stan = (uint32_t)atoi(optarg); break;
        default: return 2;
        }
    }
    if (!options.port || !options.requests || !options.algorithm != !options.keys || options.depth < 1 ||
        options.depth >= FLIGHTS || options.seconds < 1 || options.seconds > SECONDS_MAX || !options.first_stan ||
        options.prepared >= 1000000 - options.first_stan || options.rate < 0 || (options.check_macs && !options.keys)) {
        fprintf(stderr, "usage: terminals --port PORT --requests FILE [--seconds N] [--warmup S] [--depth N | --rate R]\n"
                        "                 [--mac aes-cmac|x9.19 --keys FILE [--prepared N] [--check-macs]]\n"
                        "                 [--tls] [--first-stan N]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    raise_fd_limit();
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        die("epoll_create1");
    read_requests();
    if (options.keys)
        read_keys();
    open_connections();
    uint64_t cpu = cpu_ns();
    run();
    report(cpu_ns() - cpu);
    return mismatched || unreadable || wrong_macs || in_flight() ? 1 : 0;
}
