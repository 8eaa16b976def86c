/* ISO 8583:1987 in ASCII, bitmap and binary fields as hex digits: just enough to make requests, to answer them and to
   check the answers. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum {
    FIELD_LAST = 128,
    FRAME_LENGTH_SIZE = 2,       /* big-endian, not counting itself */
    MESSAGE_SIZE_MAX = 1200,     /* bytes; more than any message of the benchmarks */
    FRAME_SIZE_MAX = FRAME_LENGTH_SIZE + MESSAGE_SIZE_MAX,
    MAC_DIGITS = 16,             /* hex digits of field 64 or 128 */
};

struct message {
    const uint8_t *data;
    uint32_t size;
    uint8_t present[FIELD_LAST + 1];
    uint16_t offset[FIELD_LAST + 1];      /* of the data, its length header not included */
    uint16_t length[FIELD_LAST + 1];
};

/* Index a message; 0, or -1 when it is not one. */
int message_index(const uint8_t *data, uint32_t size, struct message *message);

/* Write the approving answer to a request; its size. `out` has room for MESSAGE_SIZE_MAX bytes. A MAC field of the
   request is answered by one of zeros at the same place, which is the last. */
uint32_t message_answer(const struct message *request, uint8_t *out);

/* Size of the frame that begins at `data`, 0 while its length is not there, -1 when it is above the limit. */
static inline int frame_size(const uint8_t *data, size_t size)
{
    if (size < FRAME_LENGTH_SIZE)
        return 0;
    uint32_t length = (uint32_t)data[0] << 8 | data[1];
    return length > MESSAGE_SIZE_MAX ? -1 : (int)length + FRAME_LENGTH_SIZE;
}

static inline void frame_close(uint8_t *frame, uint32_t message_size)
{
    frame[0] = (uint8_t)(message_size >> 8);
    frame[1] = (uint8_t)message_size;
}

static inline uint32_t read_digits(const uint8_t *at, int count)
{
    uint32_t value = 0;
    while (count-- > 0)
        value = value * 10 + (uint32_t)(*at++ - '0');
    return value;
}

static inline void write_digits(uint8_t *at, int count, uint32_t value)
{
    while (count-- > 0) {
        at[count] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

#endif
