/* The tank of the starter `external`, written from PROTOCOL.md alone: ./tank PORT connects, ./tank --listen PORT serves.
   Its observations are raw numbers. */

#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOX "{\"Box\":{\"low\":[0.0],\"high\":[1.0],\"shape\":[3],\"dtype\":\"float32\"}}"
#define DISCRETE "{\"Discrete\":{\"n\":3,\"start\":0,\"dtype\":\"int64\"}}"
#define HELLO "{\"protocol\":1,\"observation_space\":" BOX ",\"action_space\":" DISCRETE "}"
#define ARRAY "\"frames\":1,\"observation\":{\"frame\":0,\"dtype\":\"float32\",\"shape\":[3]}"

static double level, mark, valve, leak = 0.05;

static double draw(uint64_t *state, double low, double high) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return low + (high - low) * (double)(*state >> 11) / 9007199254740992.0;
}

static int receive(int peer, void *buffer, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = read(peer, (char *)buffer + done, size - done);
        if (count <= 0) return 0;
        done += (size_t)count;
    }
    return 1;
}

static char *put_frame(char *end, const void *content, size_t size) {
    uint32_t length = htonl((uint32_t)size);
    memcpy(end, &length, 4);
    memcpy(end + 4, content, size);
    return end + 4 + size;
}

static void answer(int peer, const char *text, int with_array) {
    char message[512], *end = put_frame(message, text, strlen(text));
    if (with_array) { /* little-endian, as this machine is */
        float observation[3] = {(float)level, (float)mark, (float)valve};
        end = put_frame(end, observation, sizeof observation);
    }
    if (write(peer, message, (size_t)(end - message)) < 0) exit(1);
}

static void step(int peer, int action) {
    valve = fmin(fmax(valve + 0.1 * (action - 1), 0.0), 1.0);
    level += 0.08 * valve - leak * sqrt(level);
    int over = !(0.05 < level && level < 1.0);
    level = fmin(fmax(level, 0.0), 1.0);
    char text[256];
    snprintf(text, sizeof text, "{%s,\"reward\":%.17g,\"terminated\":%s,\"truncated\":false}", ARRAY,
             over ? -1.0 : 1.0 - 2.0 * fabs(level - mark), over ? "true" : "false");
    answer(peer, text, 1);
}

static void serve(int peer) {
    int yes = 1;
    uint32_t length;
    char text[65536], *found;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    while (receive(peer, &length, 4) && (length = ntohl(length)) < sizeof text && receive(peer, text, length)) {
        text[length] = 0;
        if (strncmp(text, "{\"type\":\"hello\"", 15) == 0) {
            if ((found = strstr(text, "\"leak\":"))) leak = atof(found + 7);
            answer(peer, HELLO, 0);
        } else if ((found = strstr(text, "\"seed\":"))) {
            uint64_t state = strtoull(found + 7, NULL, 10);
            draw(&state, 0, 1);
            level = draw(&state, 0.2, 0.8), mark = draw(&state, 0.3, 0.7), valve = draw(&state, 0, 1);
            answer(peer, "{" ARRAY "}", 1);
        } else if ((found = strstr(text, "\"action\":"))) {
            step(peer, atoi(found + 9));
        } else {
            answer(peer, "{\"error\":\"this is no message of protocol 1\"}", 0);
        }
    }
    close(peer);
}

int main(int count, char **words) {
    int listens = count == 3, peer = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[count - 1]))};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(peer, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!listens) {
        if (connect(peer, (struct sockaddr *)&place, sizeof place)) return 1;
        serve(peer);
        return 0;
    }
    if (bind(peer, (struct sockaddr *)&place, sizeof place) || listen(peer, 64)) return 1;
    for (int one; (one = accept(peer, NULL, NULL)) >= 0; close(one))
        if (fork() == 0) {
            serve(one);
            return 0;
        }
    return 1;
}
