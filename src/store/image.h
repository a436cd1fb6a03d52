/* SPDX-License-Identifier: MIT */
/*
 * image.h - all rows that were kept, read into memory at once.
 *
 * Owns:    everything it points to, in one arena.
 * Thread:  read by the store's, then handed to the loop.
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include "base/mem.h"
#include "store/store.h"

struct image {
    struct store_image rows;
    struct arena arena;
};

void image_free(struct image *image);

#endif
