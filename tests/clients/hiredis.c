// hiredis PORT: the C client, blocking and pipelined. Debian's version knows RESP2 alone; the Python package brings a newer
// one, whose RESP3 parser redis_py.py uses.
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "hiredis: %s\n", what);
        exit(1);
    }
}

static redisContext *open_connection(int port) {
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){5, 0});
    require(c != NULL && !c->err, "no connection");
    redisSetTimeout(c, (struct timeval){20, 0});
    return c;
}

// Sends a command and requires the type of its reply and, unless NULL, its text.
static void check(redisContext *c, int type, const char *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(c, format, args);
    va_end(args);
    if (r == NULL || r->type != type || (text != NULL && strcmp(r->str, text) != 0)) {
        fprintf(stderr, "hiredis: %s: type %d, text %s\n", format, r ? r->type : -1, r && r->str ? r->str : c->errstr);
        exit(1);
    }
    freeReplyObject(r);
}

static void check_binary(redisContext *c) {
    char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
    check(c, REDIS_REPLY_STATUS, "OK", "SET %b %b", bytes, (size_t)300, bytes, sizeof bytes);
    redisReply *r = redisCommand(c, "GET %b", bytes, (size_t)300);
    require(r && r->type == REDIS_REPLY_STRING && r->len == sizeof bytes && !memcmp(r->str, bytes, sizeof bytes), "binary values");
    freeReplyObject(r);
}

static void check_pipeline(redisContext *c) {
    for (int i = 0; i < 1000; i++) redisAppendCommand(c, "SET key:%d %d", i, i);
    for (int i = 0; i < 1000; i++) redisAppendCommand(c, "GET key:%d", i);
    for (int i = 0; i < 2000; i++) {
        redisReply *r = NULL;
        require(redisGetReply(c, (void **)&r) == REDIS_OK, "a pipeline's reply");
        require(i < 1000 ? r->type == REDIS_REPLY_STATUS : atoi(r->str) == i - 1000, "a pipeline's order");
        freeReplyObject(r);
    }
}

int main(int argc, char **argv) {
    require(argc == 2, "usage: hiredis PORT");
    int port = atoi(argv[1]);
    redisContext *c = open_connection(port);
    check(c, REDIS_REPLY_STATUS, "PONG", "PING");
    check_binary(c);
    check_pipeline(c);
    check(c, REDIS_REPLY_NIL, NULL, "GET absent");
    check(c, REDIS_REPLY_STATUS, "OK", "SET k v PX 100000");
    check(c, REDIS_REPLY_INTEGER, NULL, "PTTL k");
    check(c, REDIS_REPLY_ERROR, "ERR value is not an integer or out of range", "INCR k");
    check(c, REDIS_REPLY_ARRAY, NULL, "MGET k absent");
    check(c, REDIS_REPLY_STATUS, "OK", "SELECT 1");
    check(c, REDIS_REPLY_NIL, NULL, "GET k");
    check(c, REDIS_REPLY_ARRAY, NULL, "HELLO 2");
    check(c, REDIS_REPLY_ARRAY, NULL, "CONFIG GET maxmemory");
    check(c, REDIS_REPLY_STATUS, "OK", "CLIENT SETNAME me");
    check(c, REDIS_REPLY_STRING, "me", "CLIENT GETNAME");
    check(c, REDIS_REPLY_STATUS, "OK", "QUIT");
    require(redisCommand(c, "PING") == NULL && c->err != 0, "QUIT has to close");
    require(redisReconnect(c) == REDIS_OK, "no connection after QUIT");
    check(c, REDIS_REPLY_STRING, "v", "GET k");
    redisFree(c);
    return 0;
}
