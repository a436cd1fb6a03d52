/* SPDX-License-Identifier: MIT */
/*
 * once.h - calls with an idempotency_key: carried out once in 24 hours, whatever breaks in between
 * (design section 3.3).
 *
 * The key is claimed on disk before anything is sent, and the outcome is on disk before it is
 * answered; so after a kill at any moment a repeat gets the recorded outcome, or is carried out if
 * nothing had been sent, or OUTCOME_UNKNOWN. A repeat while the first is under way waits for it.
 *
 * Owns:    struct onces owns what is under way, by scope and key.
 * Thread:  the loop thread; the disk is the store's.
 */
#ifndef CALL_ONCE_H
#define CALL_ONCE_H

#include "base/slice.h"
#include "store/store.h"

#define ONCE_KEY_MAX 255u /* bytes of an idempotency_key */

/* SHA-256 of who asks (agent, user) and the key, and of what is asked (service, tool, arguments): lengths
 * are hashed with the texts, so that no two askers or calls look alike. */
void once_id(struct slice agent, struct slice user, struct slice key,
             uint8_t out[SHA256_BYTES]);
void once_fingerprint(struct slice service, struct slice tool, struct slice arguments,
                      uint8_t out[SHA256_BYTES]);

#endif
