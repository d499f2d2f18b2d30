/* See tiny.h. */
#include "tests/trainer/tiny.h"
#include "model/net.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "name = tiny\n"
                           "pool avgpool image size=14\n"
                           "logits dense pool units=10\n"
                           "addend onehot digit\n"
                           "both concat logits addend\n"
                           "sum dense both units=19\n"
                           "output digit = logits\noutput sum = sum\n";

const struct optimizer tiny_optimizer = {.kind = OPTIMIZER_ADAMW,
                                         .beta1 = 0.9f,
                                         .beta2 = 0.999f,
                                         .epsilon = 1e-8f,
                                         .ema = 0.99f,
                                         .digit_weight = 1,
                                         .sum_weight = 1};

struct net *tiny_net(void) {
    struct error error = {0};
    struct net *net = net_parse(text, sizeof text - 1, "tiny.net", &error);
    cr_assert_not_null(net, "%s", error.text);
    return net;
}

void tiny_checkpoint(struct checkpoint *checkpoint, struct net *net, uint64_t step, uint32_t batch,
                     uint32_t samples) {
    static char settings[] = "{\"rate\": 0.01}";
    struct error error = {0};
    *checkpoint = (struct checkpoint){.step = step,
                                      .samples = step * batch,
                                      .epoch = (double)(step * batch) / samples,
                                      .seed = 3,
                                      .settings = settings,
                                      .net = net};
    memset(checkpoint->dataset, 'd', SHA256_HEX - 1);
    memset(checkpoint->chain, (int)step + 1, SHA256_SIZE);
    cr_assert_eq(state_alloc(&checkpoint->state, net, &tiny_optimizer, &error), 0, "%s",
                 error.text);
    checkpoint->state.updates = step;
    for (size_t i = 0; i < net->total; i++)
        checkpoint->state.weights[i] = (float)(step + i);
}

uint32_t tiny_crc(uint64_t step) {
    return (uint32_t)(step * 2654435761u + 12345);
}

void tiny_message(struct wire_message *message, uint64_t step, uint32_t count) {
    Digitsum__Header header = DIGITSUM__HEADER__INIT;
    uint8_t packed[256];
    header.type = DIGITSUM__TYPE__PAIRS;
    header.step = step;
    header.count = count;
    header.crc = tiny_crc(step);
    *message = (struct wire_message){.frame_count = 2};
    message->header =
        digitsum__header__unpack(NULL, digitsum__header__pack(&header, packed), packed);
    cr_assert_not_null(message->header);
    cr_assert_eq(zmq_msg_init_size(&message->frames[0], (size_t)count * IMAGE_PIXELS), 0);
    cr_assert_eq(zmq_msg_init_size(&message->frames[1], (size_t)count * 3), 0);
    memset(zmq_msg_data(&message->frames[0]), (int)(step & 0xff), (size_t)count * IMAGE_PIXELS);
    memset(zmq_msg_data(&message->frames[1]), 0, (size_t)count * 3);
}

void tiny_wait(int wake) {
    uint64_t count;
    cr_assert_eq(read(wake, &count, sizeof count), (ssize_t)sizeof count);
}
