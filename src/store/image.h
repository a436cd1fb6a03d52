/* SPDX-License-Identifier: MIT */
/*
 * image.h - all that was kept, read into memory at once.
 *
 * Owns:    everything it points to, in one arena and one buffer.
 * Thread:  read by the store's, then handed to the loop.
 */
#ifndef STORE_IMAGE_H
#define STORE_IMAGE_H

#include "base/mem.h"
#include "store/db.h"
#include "store/store.h"

struct image {
    struct store_image rows;
    struct arena arena;
};

/* NULL with *reterr. */
struct image *image_read(struct db *db, struct err *reterr);
void image_free(struct image *image);

#endif
