//! Whole reviews of made-up incidents, as people read them.

use super::*;

/// The review without the hash, which covers every word that other features write into the log.
fn shown(facts: &Facts) -> String {
    let hash = &facts.entries.last().unwrap().hash;
    drafted(facts).replace(hash, "(hash)")
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one whole review, to be read as one")]
fn a_whole_review() {
    insta::assert_snapshot!(shown(&sample::release()), @r#"
    # Review of INC-7: Checkout answers with errors

    > A draft from the log. Every statement cites its entry, such as `[INC-7#1]`; quoted blocks like this one are for people to fill in and delete. All times are UTC.

    ## Header

    - Severity: `SEV3` [INC-7#31], at its worst `SEV2` [INC-7#31]
    - Phase: `resolved` [INC-7#32]
    - Service: `checkout` [INC-7#1]
    - Environment: `production` [INC-7#1]
    - Lead: `bo` [INC-7#26]

    > Drafted from 32 entries up to [INC-7#32], whose hash is `(hash)`.

    ## Summary

    - 2026-11-23 03:10:00 UTC, source prometheus: opened it as `SEV2`: "Checkout answers with errors" on `checkout` in `production`, by route `checkout` (`matched`), impact began no later than `2026-11-23 03:09:20 UTC` [INC-7#1]
    - Impact began no later than: `2026-11-23 03:09:20 UTC` by `source prometheus` [INC-7#1]
    - Taken first: `2026-11-23 03:10:45 UTC` by `ana` [INC-7#12]
    - RUN-1 of runbook `rollback-service` on `checkout in production` ended as `done` [INC-7#23]
    - Impact stopped: `2026-11-23 03:14:00 UTC` by `RUN-1` [INC-7#22]
    - Over: `2026-11-23 03:15:10 UTC` by `source prometheus` [INC-7#24]

    > Say in two or three sentences what people outside the team should know.

    ## Impact

    - From beginning to end (mitigated − started = 03:14:00 − 03:09:20): at least 4 min 40 s [INC-7#22] [INC-7#1]
    - 2026-11-23 03:17:03 UTC, bo: lowered the severity from `SEV2` to `SEV3` [INC-7#31]
    - How many people and requests were affected: unknown

    > Who noticed, what could they not do, how many were they, and was any data lost or wrong?

    ## Key times

    | Milestone | Time | Set by | Notes | Source |
    |---|---|---|---|---|
    | started | no later than 2026-11-23 03:09:20 UTC | `source prometheus` |  | [INC-7#1] |
    | detected | 2026-11-23 03:10:00 UTC | `source prometheus` |  | [INC-7#1] |
    | declared | 2026-11-23 03:10:00 UTC | `source prometheus` |  | [INC-7#1] |
    | acknowledged | 2026-11-23 03:10:45 UTC | `ana` |  | [INC-7#12] |
    | mitigated | 2026-11-23 03:14:00 UTC | `RUN-1` | confirmed 2026-11-23 03:15:00 UTC  | [INC-7#22] |
    | resolved | 2026-11-23 03:15:10 UTC | `source prometheus` | confirmed 2026-11-23 03:35:00 UTC  | [INC-7#24] |

    | Measure | Meaning | With the times | Length | Source |
    |---|---|---|---|---|
    | TTD = detected − started | time to detect | 03:10:00 − 03:09:20 | at least 40 s | [INC-7#1] |
    | TTA = acknowledged − detected | time to acknowledge | 03:10:45 − 03:10:00 | 45 s | [INC-7#12] [INC-7#1] |
    | TTM = mitigated − started | time to mitigate | 03:14:00 − 03:09:20 | at least 4 min 40 s | [INC-7#22] [INC-7#1] |
    | TTR = resolved − started | time to resolve | 03:15:10 − 03:09:20 | at least 5 min 50 s | [INC-7#24] [INC-7#1] |

    ## Detection

    - First: 2026-11-23 03:10:00 UTC, source prometheus: reported that `CheckoutErrorRate` fires as `SEV2` (`new_group`): `{alertname="CheckoutErrorRate", env="production", service="checkout"}` [INC-7#2]
    - 2026-11-23 03:15:20 UTC, source prometheus: reported that `CheckoutErrorRate` cleared at `2026-11-23 03:15:10 UTC`: `{alertname="CheckoutErrorRate", env="production", service="checkout"}` [INC-7#24]

    > Could it have been noticed earlier, or by something other than what noticed it?

    ## Nearby changes

    > Near in time, not a cause.

    - 2026-11-23 03:16:50 UTC, firewarden: noted a merge of `checkout` at `2026-11-23 03:16:45 UTC`, by `ana`: `#9 Faster carts` (near in time, not a cause) [INC-7#27]
    - 2026-11-23 03:10:02 UTC: `what is live` of RUN-1 read a version: `since` = `2026-11-23T03:05:00Z`, `version` = `v42` [INC-7#7] [INC-7#8]
    - 2026-11-23 03:10:03 UTC: `what was good` of RUN-1 read a version: `version` = `v41` [INC-7#9] [INC-7#10]
    - 2026-11-23 03:10:55 UTC: `roll back` of RUN-1 made a change: `id` = `12`, `version` = `v41` [INC-7#16] [INC-7#17]
    - Changes that nobody reports: unknown

    ## Response

    ### Roles

    - 2026-11-23 03:16:40 UTC, bo: gave the role `lead` to `bo` [INC-7#26]

    ### Who joined, with the first thing they did

    - 2026-11-23 03:10:45 UTC, ana: acknowledged it [INC-7#12]
    - 2026-11-23 03:16:40 UTC, bo: gave the role `lead` to `bo` [INC-7#26]

    ### Pages

    - 2026-11-23 03:10:00 UTC, firewarden: paged `role:on-call` (`opened`) [INC-7#3]

    ## What the automation did

    ### RUN-1: `rollback-service`

    - 2026-11-23 03:10:01 UTC, source prometheus: started runbook `rollback-service` as RUN-1 on `checkout in production` in mode `ask` because of alert `CheckoutErrorRate` [INC-7#5]
    - 2026-11-23 03:10:02 UTC: `what is live`, `http`: done [INC-7#7] [INC-7#8]
      - `since` = `2026-11-23T03:05:00Z`
      - `version` = `v42`
    - 2026-11-23 03:10:03 UTC: `what was good`, `http`: done [INC-7#9] [INC-7#10]
      - `version` = `v41`
    - 2026-11-23 03:10:03 UTC: APR-1 was asked, “May it roll back?”, for `good.version` = `v41`, `live.version` = `v42` [INC-7#11]
      - 2026-11-23 03:10:50 UTC, ana: approved RUN-1 (APR-1) (`good.version` = `v41`, `live.version` = `v42`) [INC-7#13]
    - 2026-11-23 03:10:51 UTC: `roll back`, `http`, changes the target: failed, “connection refused” [INC-7#14] [INC-7#15]
    - 2026-11-23 03:10:55 UTC: `roll back`, `http`, changes the target, attempt 2: done [INC-7#16] [INC-7#17]
      - `id` = `12`
      - `version` = `v41`
    - 2026-11-23 03:11:00 UTC, RUN-1: stopped in the middle of runbook `rollback-service` and waits for a decision: `halted` (a halt stands); done so far: `roll back` [INC-7#18]
    - 2026-11-23 03:11:10 UTC, ana: answered `retry` for RUN-1 [INC-7#19]
    - 2026-11-23 03:14:00 UTC: `errors are gone`, `http`: done [INC-7#20] [INC-7#21]
      - `errors` = `0.001`
      - `traffic` = `31.5`
    - Verification, 2026-11-23 03:15:00 UTC, RUN-1: set `mitigated` to `2026-11-23 03:14:00 UTC`, confirmed `2026-11-23 03:15:00 UTC` [INC-7#22]
    - 2026-11-23 03:15:01 UTC, RUN-1: ended runbook `rollback-service` on `checkout in production` as `done` [INC-7#23]

    ### Refused

    - 2026-11-23 03:10:01 UTC, firewarden: did not start runbook `scale-service` on `checkout in production`: `target_locked` (another run holds the target) [INC-7#6]

    ## Resolution

    - 2026-11-23 03:15:00 UTC, RUN-1: set `mitigated` to `2026-11-23 03:14:00 UTC`, confirmed `2026-11-23 03:15:00 UTC` [INC-7#22]
    - 2026-11-23 03:15:20 UTC, firewarden: moved it from `investigating` to `monitoring` (`alerts_cleared`) [INC-7#25]
    - 2026-11-23 03:35:00 UTC, firewarden: moved it from `monitoring` to `resolved` (`quiet`) [INC-7#32]

    ## Timeline

    ### 2026-11-23 UTC

    - 03:10:00 source prometheus: opened it as `SEV2`: "Checkout answers with errors" on `checkout` in `production`, by route `checkout` (`matched`), impact began no later than `2026-11-23 03:09:20 UTC` (by the source's clock 2026-11-23 03:09:40 UTC) [INC-7#1]
    - 03:10:00 source prometheus: reported that `CheckoutErrorRate` fires as `SEV2` (`new_group`): `{alertname="CheckoutErrorRate", env="production", service="checkout"}` (by the source's clock 2026-11-23 03:09:40 UTC) [INC-7#2]
    - 03:10:00 firewarden: paged `role:on-call` (`opened`) [INC-7#3]
    - 03:10:01 firewarden: linked it to the earlier `INC-3` [INC-7#4]
    - 03:10:01 source prometheus: started runbook `rollback-service` as RUN-1 on `checkout in production` in mode `ask` because of alert `CheckoutErrorRate` (by the source's clock 2026-11-23 03:09:41 UTC) [INC-7#5]
    - 03:10:01 firewarden: did not start runbook `scale-service` on `checkout in production`: `target_locked` (another run holds the target) [INC-7#6]
    - 03:10:02 RUN-1: began to read `what is live` [INC-7#7]
    - 03:10:03 RUN-1: finished `what is live` with `{"since":"2026-11-23T03:05:00Z","version":"v42"}` [INC-7#8]
    - 03:10:03 RUN-1: began to read `what was good` [INC-7#9]
    - 03:10:04 RUN-1: finished `what was good` with `{"version":"v41"}` [INC-7#10]
    - 03:10:03 RUN-1: asked `role:on-call` as APR-1: May it roll back? (`good.version` = `v41`, `live.version` = `v42`), until 03:25:00 [INC-7#11]
    - 03:10:45 ana: acknowledged it [INC-7#12]
    - 03:10:50 ana: approved RUN-1 (APR-1) (`good.version` = `v41`, `live.version` = `v42`) [INC-7#13]
    - 03:10:51 RUN-1: began `roll back` [INC-7#14]
    - 03:10:52 RUN-1: failed at `roll back`: `connection refused`, next attempt at 03:10:55 [INC-7#15]
    - 03:10:55 RUN-1: began `roll back`, attempt 2 [INC-7#16]
    - 03:10:56 RUN-1: finished `roll back` with `{"id":12,"version":"v41"}` [INC-7#17]
    - 03:11:00 RUN-1: stopped in the middle of runbook `rollback-service` and waits for a decision: `halted` (a halt stands); done so far: `roll back` [INC-7#18]
    - 03:11:10 ana: answered `retry` for RUN-1 [INC-7#19]
    - 03:14:00 RUN-1: began to read `errors are gone` [INC-7#20]
    - 03:14:01 RUN-1: finished `errors are gone` with `{"errors":0.001,"traffic":31.5}` [INC-7#21]
    - 03:15:00 RUN-1: set `mitigated` to `2026-11-23 03:14:00 UTC`, confirmed `2026-11-23 03:15:00 UTC` [INC-7#22]
    - 03:15:01 RUN-1: ended runbook `rollback-service` on `checkout in production` as `done` [INC-7#23]
    - 03:15:20 source prometheus: reported that `CheckoutErrorRate` cleared at `2026-11-23 03:15:10 UTC`: `{alertname="CheckoutErrorRate", env="production", service="checkout"}` (by the source's clock 2026-11-23 03:15:00 UTC) [INC-7#24]
    - 03:15:20 firewarden: moved it from `investigating` to `monitoring` (`alerts_cleared`) [INC-7#25]
    - 03:16:40 bo: gave the role `lead` to `bo` [INC-7#26]
    - 03:16:50 firewarden: noted a merge of `checkout` at `2026-11-23 03:16:45 UTC`, by `ana`: `#9 Faster carts` (near in time, not a cause) [INC-7#27]
    - 03:17:00 bo: noted: The new cache key was not in the load test [INC-7#28]
    - 03:17:01 bo: noted: action: Put the cache key into the load test owner:bo due:2026-12-01 [INC-7#29]
    - 03:17:02 bo: noted: action: Alert earlier [INC-7#30]
    - 03:17:03 bo: lowered the severity from `SEV2` to `SEV3` [INC-7#31]
    - … 17 min 57 s without an entry [INC-7#31] [INC-7#32]
    - 03:35:00 firewarden: moved it from `monitoring` to `resolved` (`quiet`) [INC-7#32]

    > Fill a marked silence with `/incident note`, or say here what happened in it.

    ## Contributing factors

    > What made this possible, and what made it worse? Look for conditions, not for people; there is more than one.
    > - From the log: 2026-11-23 03:10:01 UTC, firewarden: did not start runbook `scale-service` on `checkout in production`: `target_locked` (another run holds the target) [INC-7#6]
    > - From the log: 2026-11-23 03:10:52 UTC, RUN-1: failed at `roll back`: `connection refused`, next attempt at 03:10:55 [INC-7#15]
    > - From the log: 2026-11-23 03:11:00 UTC, RUN-1: stopped in the middle of runbook `rollback-service` and waits for a decision: `halted` (a halt stands); done so far: `roll back` [INC-7#18]

    ## Lessons

    ### What went well

    > What helped, and should be kept?
    > - From the log: 2026-11-23 03:10:45 UTC, ana: acknowledged it [INC-7#12]
    > - From the log: 2026-11-23 03:15:00 UTC, RUN-1: set `mitigated` to `2026-11-23 03:14:00 UTC`, confirmed `2026-11-23 03:15:00 UTC` [INC-7#22]
    > - From the log: 2026-11-23 03:15:01 UTC, RUN-1: ended runbook `rollback-service` on `checkout in production` as `done` [INC-7#23]

    ### What went badly

    > What made it longer or harder than it had to be?
    > - From the log: 2026-11-23 03:10:01 UTC, firewarden: did not start runbook `scale-service` on `checkout in production`: `target_locked` (another run holds the target) [INC-7#6]
    > - From the log: 2026-11-23 03:10:52 UTC, RUN-1: failed at `roll back`: `connection refused`, next attempt at 03:10:55 [INC-7#15]
    > - From the log: 2026-11-23 03:11:00 UTC, RUN-1: stopped in the middle of runbook `rollback-service` and waits for a decision: `halted` (a halt stands); done so far: `roll back` [INC-7#18]

    ### Where luck helped

    > What could have gone the other way?

    ### What surprised people

    > What did somebody believe that turned out not to be so?

    ## Action items

    - [ ] “Put the cache key into the load test”, owner: bo, due: 2026-12-01 [INC-7#29]

    > Write each as `- [ ] what, owner: who, due: 2026-12-01`, here or during an incident as `/incident note text:"action: what owner:who due:2026-12-01"`.
    > - “Alert earlier” lacks owner and due date [INC-7#30]

    ## Related incidents

    - INC-3, earlier: “Checkout answers slowly”, `closed` [INC-7#4] [INC-3#9]
      - Action item: “Add a canary”, owner: ana, due: unknown [INC-3#8]

    ## Communications

    - 2026-11-23 03:10:00 UTC: page to `ops`, delivered after 1.0 s: “Checkout answers with errors” [POST-1]
    - 2026-11-23 03:10:00 UTC: message to `ops`, delivered after 1 min 35 s: “Checkout answers with errors” [POST-2]

    > What was said to people outside the team, where and when?

    ## Draft quality

    - 17 min 57 s without an entry while it was open [INC-7#31] [INC-7#32]
    - The message of 2026-11-23 03:10:00 UTC to `ops` was delivered after 1 min 35 s [POST-2]

    ## Supporting material

    - Alert `CheckoutErrorRate`, episode 1, from `prometheus`: `{alertname="CheckoutErrorRate", env="production", service="checkout"}` [INC-7#2]
    - Plan of RUN-1, runbook `rollback-service`, hash `5d41402abc4b2a76` [INC-7#5]

    > `/incident timeline` shows each entry; `firewarden verify` checks that the log is what was written.
    "#);
}

#[test]
fn an_incident_in_which_nothing_happened() {
    insta::assert_snapshot!(shown(&sample::empty()), @r#"
    # Review of INC-8: Something is slow

    > A draft from the log. Every statement cites its entry, such as `[INC-8#1]`; quoted blocks like this one are for people to fill in and delete. All times are UTC.

    ## Header

    - Severity: `SEV3` [INC-8#1]
    - Phase: `triage` [INC-8#1]
    - Service: unknown
    - Environment: unknown
    - Lead: unknown

    > Drafted from 1 entry up to [INC-8#1], whose hash is `(hash)`. The incident is not over: this is a draft of an unfinished story.

    ## Summary

    - 2026-11-23 03:10:00 UTC, ana: declared it as `SEV3`: "Something is slow" [INC-8#1]
    - Impact began: unknown
    - Taken first: unknown
    - Impact stopped: unknown
    - Over: unknown

    > Say in two or three sentences what people outside the team should know.

    ## Impact

    - From beginning to end (mitigated − started): unknown
    - How many people and requests were affected: unknown

    > Who noticed, what could they not do, how many were they, and was any data lost or wrong?

    ## Key times

    | Milestone | Time | Set by | Notes | Source |
    |---|---|---|---|---|
    | started | unknown |  |  |  |
    | detected | unknown |  |  |  |
    | declared | unknown |  |  |  |
    | acknowledged | unknown |  |  |  |
    | mitigated | unknown |  |  |  |
    | resolved | unknown |  |  |  |

    | Measure | Meaning | With the times | Length | Source |
    |---|---|---|---|---|
    | TTD = detected − started | time to detect | unknown | unknown |  |
    | TTA = acknowledged − detected | time to acknowledge | unknown | unknown |  |
    | TTM = mitigated − started | time to mitigate | unknown | unknown |  |
    | TTR = resolved − started | time to resolve | unknown | unknown |  |

    ## Detection

    - First: 2026-11-23 03:10:00 UTC, ana: declared it as `SEV3`: "Something is slow" [INC-8#1]

    > Could it have been noticed earlier, or by something other than what noticed it?

    ## Nearby changes

    > Near in time, not a cause.

    - Deployments near in time: unknown
    - Merges, configuration changes and changes by others: unknown

    ## Response

    ### Roles

    - Roles: unknown

    ### Who joined, with the first thing they did

    - 2026-11-23 03:10:00 UTC, ana: declared it as `SEV3`: "Something is slow" [INC-8#1]

    ### Pages

    - None in the log

    ## What the automation did

    - None: no run is in the log

    ### Refused

    - None in the log

    ## Resolution

    - How it ended: unknown

    ## Timeline

    ### 2026-11-23 UTC

    - 03:10:00 ana: declared it as `SEV3`: "Something is slow" [INC-8#1]

    > Fill a marked silence with `/incident note`, or say here what happened in it.

    ## Contributing factors

    > What made this possible, and what made it worse? Look for conditions, not for people; there is more than one.

    ## Lessons

    ### What went well

    > What helped, and should be kept?

    ### What went badly

    > What made it longer or harder than it had to be?

    ### Where luck helped

    > What could have gone the other way?

    ### What surprised people

    > What did somebody believe that turned out not to be so?

    ## Action items

    > Write each as `- [ ] what, owner: who, due: 2026-12-01`, here or during an incident as `/incident note text:"action: what owner:who due:2026-12-01"`.

    ## Related incidents

    - None in the log

    ## Communications

    - None in the log

    > What was said to people outside the team, where and when?

    ## Draft quality

    - Not known: when the impact began
    - Not known: who took it first, and when
    - Not known: when the impact stopped
    - Not known: when it was over
    - Not known: who led the response
    - Not known: which service was affected
    - Not known: which environment was affected
    - Not known: how it ends: the incident is not over

    ## Supporting material

    > `/incident timeline` shows each entry; `firewarden verify` checks that the log is what was written.
    "#);
}
