export { type Evaluation, type Feed, type FeedData, type Feeds, type Snapshot, type StepResult, type Trainer } from "./trainer.ts";
