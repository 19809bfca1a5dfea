export { SESSIONS_MAX, createTrainer, type TrainerOptions } from "./create-trainer.ts";
export { type Evaluation, type Feed, type FeedData, type Feeds, type Snapshot, type StepResult, type Trainer } from "./trainer.ts";
export { NODES_MAX } from "./training-graph.ts";
