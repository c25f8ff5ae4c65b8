#include "raft-glue/replica_admission.h"

#include "raft-glue/replica_configuration.h"

#include <stdio.h>

static struct admission_peer *find(struct admission *admission, uint64_t id)
{
    for (size_t i = 0; i < admission->peer_count; i++) {
        if (admission->peers[i].server.id == id) {
            return &admission->peers[i];
        }
    }
    return NULL;
}

static void add(struct admission *admission, uint64_t id, const char *address, bool seed)
{
    if (id == admission->self || find(admission, id) != NULL ||
        admission->peer_count == ADMISSION_PEERS_MAX) {
        return;
    }
    struct admission_peer *peer = &admission->peers[admission->peer_count++];
    *peer = (struct admission_peer){.server = {.id = id}, .seed = seed};
    snprintf(peer->server.address, sizeof peer->server.address, "%s", address);
}

void admission_init(struct admission *admission, uint64_t self, bool set_aside,
                    const struct replica_voter *voters, size_t count)
{
    *admission = (struct admission){.self = self, .set_aside = set_aside};
    for (size_t i = 0; i < count; i++) {
        add(admission, voters[i].id, voters[i].address, true);
    }
}

/* Remember the newest membership, and that there are servers in it. */
static void take_membership(struct admission *admission, const struct probe *probe)
{
    struct replica_base *known = &admission->membership;
    if (probe->change.size == 0 || probe->change.size > REPLICA_BASE_CHANGE_MAX ||
        probe->change_index <= known->change_index) {
        return;
    }
    known->change_index = probe->change_index;
    known->change_size = (uint32_t)probe->change.size;
    memcpy(known->change, probe->change.data, probe->change.size);
    struct raft_configuration configuration = configuration_decode(probe->change);
    for (unsigned i = 0; i < configuration.n; i++) {
        add(admission, configuration.servers[i].id, configuration.servers[i].address, false);
    }
    raft_configuration_close(&configuration);
}

void admission_answer(struct admission *admission, uint64_t from, const struct probe *probe)
{
    struct admission_peer *peer = find(admission, from);
    if (peer == NULL || probe->answer != HELLO_WELCOME) {
        return;
    }
    peer->knowledge = probe->blank ? ADMISSION_BLANK : ADMISSION_DATA;
    peer->identity = probe->identity;
    peer->counted = peer->counted || probe->counted;
    peer->leader = probe->leader;
    peer->term = probe->term > peer->term ? probe->term : peer->term;
    peer->last_index = probe->last_index;
    if (!probe->blank) {
        take_membership(admission, probe);
    }
}

static bool has_data(const struct admission *admission, uint64_t id)
{
    for (size_t i = 0; i < admission->peer_count; i++) {
        if (admission->peers[i].server.id == id) {
            return admission->peers[i].knowledge == ADMISSION_DATA;
        }
    }
    return false;
}

static void rejoin(const struct admission *admission, struct admission_decision *decision)
{
    uint64_t term = 0;
    for (size_t i = 0; i < admission->peer_count; i++) {
        term = admission->peers[i].term > term ? admission->peers[i].term : term;
    }
    decision->verdict = ADMISSION_REJOIN;
    decision->state = (struct term_vote_state){.term = term + 1, .rejoin_term = term};
    for (size_t i = 0; i < admission->peer_count; i++) {
        const struct admission_peer *peer = &admission->peers[i];
        if (peer->leader && peer->term == term) {
            decision->state = (struct term_vote_state){
                .term = term,
                .voted_for = admission->self,
                .rejoin_term = term,
                .rejoin_index = peer->last_index,
            };
        }
    }
}

/* Somebody has data, and we were not there when it began. */
static void decide_by_membership(const struct admission *admission,
                                 struct admission_decision *decision)
{
    struct raft_configuration configuration =
        configuration_decode(replica_base_change(&admission->membership));
    bool member = configuration_find(&configuration, admission->self) != NULL;
    unsigned voters = configuration_voters(&configuration);
    unsigned others = 0;
    unsigned answered = 0;
    for (unsigned i = 0; i < configuration.n; i++) {
        const struct raft_server *server = &configuration.servers[i];
        if (server->role != RAFT_VOTER || server->id == admission->self) {
            continue;
        }
        others++;
        if (has_data(admission, server->id)) {
            answered++;
        } else {
            decision->missing = server->id;
        }
    }
    raft_configuration_close(&configuration);
    if (member && others > 0 && answered == others) {
        rejoin(admission, decision);
    } else if (!member && answered > voters / 2) {
        decision->verdict = ADMISSION_JOIN;
        decision->state = (struct term_vote_state){.term = 1};
    }
}

void admission_decide(const struct admission *admission, struct admission_decision *decision)
{
    *decision = (struct admission_decision){.verdict = ADMISSION_WAIT};
    bool data = false;
    bool counted = false;
    bool all_blank = true;
    for (size_t i = 0; i < admission->peer_count; i++) {
        const struct admission_peer *peer = &admission->peers[i];
        data = data || peer->knowledge == ADMISSION_DATA;
        counted = counted || (peer->knowledge == ADMISSION_DATA && peer->counted);
        if (peer->seed && peer->knowledge != ADMISSION_BLANK) {
            all_blank = false;
            decision->missing = peer->server.id;
        }
    }
    if (!admission->set_aside && (counted || (!data && all_blank))) {
        decision->verdict = ADMISSION_BOOTSTRAP;
    } else if (data && admission->membership.change_index != 0) {
        decide_by_membership(admission, decision);
    }
}

void admission_count(const struct admission *admission, struct replica_identity *identity)
{
    identity->count = 0;
    for (size_t i = 0; i < admission->peer_count && identity->count < MEMBERS_MAX; i++) {
        const struct admission_peer *peer = &admission->peers[i];
        if (peer->knowledge == ADMISSION_BLANK) {
            identity->counted[identity->count].member = peer->server.id;
            identity->counted[identity->count].number = peer->identity;
            identity->count++;
        }
    }
}
