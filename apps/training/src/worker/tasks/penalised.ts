import { withPenalties, type Network } from "@servable/nn";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";

/** The network with the penalties that a specification asks for; the contract counts half of the squares. */
export const penalised = (network: Network, { l1Penalty, l2Penalty }: Pick<TrainingSpecRecord, "l1Penalty" | "l2Penalty">): Network => withPenalties(network, { l1: l1Penalty, l2: l2Penalty / 2 });
