// SPDX-License-Identifier: Apache-2.0
// Blocks with an alignment are filled and looked at again before they are freed: one thread, standard functions alone.
//   cc mimalloc_aligned.c && LD_PRELOAD=libmimalloc.so.3 ./a.out
// Ends with 1 where a block does not hold what was written into it, with 0 after a million blocks.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { held = 512 };

static struct {
    unsigned char* block;
    size_t bytes;
    size_t alignment;
    unsigned char mark;
} blocks[held];

static unsigned long long state = 88172645463325252u;

static size_t random_below(size_t limit) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (size_t)(state % limit);
}

int main(void) {
    for (unsigned long done = 0; done < 1000000; ++done) {
        const size_t i = random_below(held);
        unsigned char* const block = blocks[i].block;
        for (size_t at = 0; block != NULL && at < blocks[i].bytes; ++at) {
            if (block[at] == blocks[i].mark) continue;
            printf("after %lu blocks: byte %zu of %zu, aligned to %zu, is %#x and was written as %#x\n", done, at,
                   blocks[i].bytes, blocks[i].alignment, (unsigned)block[at], (unsigned)blocks[i].mark);
            return 1;
        }
        free(block);
        blocks[i].alignment = (size_t)16 << random_below(9);
        blocks[i].bytes = random_below(random_below(8) == 0 ? 100000 : 2000);
        blocks[i].mark = (unsigned char)(done % 251 + 1);
        if (posix_memalign((void**)&blocks[i].block, blocks[i].alignment, blocks[i].bytes) != 0) return 2;
        memset(blocks[i].block, blocks[i].mark, blocks[i].bytes);
    }
    printf("every block held what was written into it\n");
    return 0;
}
