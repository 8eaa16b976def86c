#include "message.h"

#include <string.h>

enum { FIXED = 0, LL = 2, LLL = 3 };

struct field {
    uint8_t header;        /* digits of the length; 0 for a fixed field */
    uint16_t length_max;   /* bytes; 0 for a field that these messages never carry */
};

static const struct field FIELDS[FIELD_LAST + 1] = {
    [2] = {LL, 19}, [3] = {FIXED, 6}, [4] = {FIXED, 12}, [5] = {FIXED, 12}, [6] = {FIXED, 12}, [7] = {FIXED, 10},
    [8] = {FIXED, 8}, [9] = {FIXED, 8}, [10] = {FIXED, 8}, [11] = {FIXED, 6}, [12] = {FIXED, 6}, [13] = {FIXED, 4},
    [14] = {FIXED, 4}, [15] = {FIXED, 4}, [16] = {FIXED, 4}, [17] = {FIXED, 4}, [18] = {FIXED, 4}, [19] = {FIXED, 3},
    [20] = {FIXED, 3}, [21] = {FIXED, 3}, [22] = {FIXED, 3}, [23] = {FIXED, 3}, [24] = {FIXED, 3}, [25] = {FIXED, 2},
    [26] = {FIXED, 2}, [27] = {FIXED, 1}, [28] = {FIXED, 9}, [29] = {FIXED, 9}, [30] = {FIXED, 9}, [31] = {FIXED, 9},
    [32] = {LL, 11}, [33] = {LL, 11}, [34] = {LL, 28}, [35] = {LL, 37}, [36] = {LLL, 104}, [37] = {FIXED, 12},
    [38] = {FIXED, 6}, [39] = {FIXED, 2}, [40] = {FIXED, 3}, [41] = {FIXED, 8}, [42] = {FIXED, 15},
    [43] = {FIXED, 40}, [44] = {LL, 25}, [45] = {LL, 76}, [46] = {LLL, 999}, [47] = {LLL, 999}, [48] = {LLL, 999},
    [49] = {FIXED, 3}, [50] = {FIXED, 3}, [51] = {FIXED, 3}, [52] = {FIXED, 16}, [53] = {FIXED, 16}, [54] = {LLL, 120},
    [55] = {LLL, 999}, [60] = {LLL, 999}, [61] = {LLL, 999}, [62] = {LLL, 999}, [63] = {LLL, 999},
    [64] = {FIXED, MAC_DIGITS}, [70] = {FIXED, 3}, [90] = {FIXED, 42}, [100] = {LL, 11}, [128] = {FIXED, MAC_DIGITS},
};

/* What an answer repeats from its request; the rest concerns the issuer alone. */
static const uint8_t ECHOED[] = {2, 3, 4, 7, 11, 12, 13, 24, 32, 33, 37, 41, 42, 49, 64, 70, 90, 128};

static const uint8_t HEX[] = "0123456789ABCDEF";

enum { MTI_SIZE = 4, BITMAP_SIZE = 16 };

static int hex_digit(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

/* Read one bitmap of 16 hex digits; 0 or -1. */
static int read_bitmap(const uint8_t *at, uint8_t *present)
{
    for (int i = 0; i < BITMAP_SIZE; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        for (int bit = 0; bit < 4; bit++)
            present[4 * i + bit] = digit >> (3 - bit) & 1;
    }
    return 0;
}

static void write_bitmap(uint8_t *at, const uint8_t *present)
{
    for (int i = 0; i < BITMAP_SIZE; i++) {
        const uint8_t *bits = present + 4 * i;
        at[i] = HEX[bits[0] << 3 | bits[1] << 2 | bits[2] << 1 | bits[3]];
    }
}

int message_index(const uint8_t *data, uint32_t size, struct message *message)
{
    uint32_t at = MTI_SIZE + BITMAP_SIZE;
    if (size < at || size > MESSAGE_SIZE_MAX)
        return -1;
    message->data = data;
    message->size = size;
    memset(message->present, 0, sizeof message->present);
    if (read_bitmap(data + MTI_SIZE, message->present + 1) < 0)
        return -1;
    if (message->present[1]) {
        if (size - at < BITMAP_SIZE || read_bitmap(data + at, message->present + 65) < 0)
            return -1;
        at += BITMAP_SIZE;
    }
    int last = message->present[1] ? FIELD_LAST : 64;
    for (int number = 2; number <= last; number++) {
        if (!message->present[number])
            continue;
        const struct field *field = &FIELDS[number];
        uint32_t length = field->length_max;
        if (length == 0 || size - at < field->header)
            return -1;
        if (field->header) {
            length = read_digits(data + at, field->header);
            if (length > field->length_max)
                return -1;
            at += field->header;
        }
        if (size - at < length)
            return -1;
        message->offset[number] = (uint16_t)at;
        message->length[number] = (uint16_t)length;
        at += length;
    }
    return at == size ? 0 : -1;
}

/* Copy a field with its length header; the number of bytes. */
static uint32_t copy_field(const struct message *from, int number, uint8_t *out)
{
    uint32_t header = FIELDS[number].header;
    uint32_t size = header + from->length[number];
    memcpy(out, from->data + from->offset[number] - header, size);
    return size;
}

uint32_t message_answer(const struct message *request, uint8_t *out)
{
    uint8_t present[FIELD_LAST + 1] = {0};
    for (size_t i = 0; i < sizeof ECHOED; i++)
        present[ECHOED[i]] = request->present[ECHOED[i]];
    /* Network management carries no authorization code. */
    present[38] = request->data[1] != '8';
    present[39] = 1;
    present[1] = request->present[1];

    memcpy(out, request->data, MTI_SIZE);
    out[2] = (uint8_t)(out[2] + 1);
    write_bitmap(out + MTI_SIZE, present + 1);
    uint32_t at = MTI_SIZE + BITMAP_SIZE;
    if (present[1]) {
        write_bitmap(out + at, present + 65);
        at += BITMAP_SIZE;
    }
    for (int number = 2; number <= FIELD_LAST; number++) {
        if (!present[number])
            continue;
        if (number == 38) {
            memcpy(out + at, "A", 1);
            memcpy(out + at + 1, request->data + request->offset[11] + 1, 5);
            at += 6;
        } else if (number == 39) {
            memcpy(out + at, "00", 2);
            at += 2;
        } else if (number == 64 || number == FIELD_LAST) {
            memset(out + at, '0', MAC_DIGITS);
            at += MAC_DIGITS;
        } else {
            at += copy_field(request, number, out + at);
        }
    }
    return at;
}
