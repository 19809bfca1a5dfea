import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLoadBalancer } from "./load-balancing.ts";

describe("load balancer", () => {
  const draws = (...values: number[]) => () => values.shift() ?? 0;

  it("takes the one with fewer calls outstanding of the two drawn", () => {
    const balancer = createLoadBalancer(draws(0, 0), () => 0);
    balancer.begin("a");

    assert.equal(balancer.choose(["a", "b"]), "b");
  });

  it("counts a call until it ends, once", () => {
    const balancer = createLoadBalancer(draws(), () => 0);
    const end = balancer.begin("a");
    balancer.begin("a");
    end();
    end();

    assert.equal(balancer.outstanding("a"), 1);
  });

  it("passes over a replica that did not answer, unless it is the only one", () => {
    let now = 0;
    const balancer = createLoadBalancer(draws(), () => now);
    balancer.penalize("a");

    assert.equal(balancer.choose(["a", "b"]), "b");
    assert.equal(balancer.choose(["a"]), "a");
    assert.equal(balancer.choose(["a"], "a"), undefined);
    now = 1_000;
    assert.equal(balancer.choose(["a", "b"]), "a");
  });

  it("keeps a sequence with its replica when others go and come", () => {
    const balancer = createLoadBalancer(draws(), () => 0);
    const all = ["a", "b", "c"];
    for (let sequence = 0; sequence < 100; sequence += 1) {
      const chosen = balancer.chooseByKey(all, String(sequence));
      const fewer = all.filter((address) => address === chosen || address !== all[sequence % 3]);

      assert.equal(balancer.chooseByKey(fewer, String(sequence)), chosen);
      assert.equal(balancer.chooseByKey([...all, "d", "e"], String(sequence)), chosen);
    }
    assert.equal(new Set(Array.from({ length: 100 }, (_, index) => balancer.chooseByKey(all, String(index)))).size, 3);
  });

  it("moves a sequence only when its replica is gone", () => {
    const balancer = createLoadBalancer(draws(), () => 0);
    const chosen = balancer.chooseByKey(["a", "b"], "7") ?? "";
    const other = chosen === "a" ? "b" : "a";

    assert.equal(balancer.chooseByKey([other], "7"), other);
    assert.equal(balancer.chooseByKey(["a", "b"], "7"), other);
    assert.equal(balancer.chooseByKey([], "7"), undefined);
  });

  it("starts no sequence on a replica that did not answer, and takes none away from it", () => {
    const balancer = createLoadBalancer(draws(), () => 0);
    const all = ["a", "b"];
    const known = Array.from({ length: 20 }, (_, index) => balancer.chooseByKey(all, `old${index}`));
    balancer.penalize("a");

    assert.deepEqual(Array.from({ length: 20 }, (_, index) => balancer.chooseByKey(all, `old${index}`)), known);
    assert.deepEqual(new Set(Array.from({ length: 20 }, (_, index) => balancer.chooseByKey(all, `new${index}`))), new Set(["b"]));
  });

  it("sends a sequence where another gateway would send it", () => {
    const [one, other] = [createLoadBalancer(draws(), () => 0), createLoadBalancer(draws(), () => 0)];
    const choose = (balancer: typeof one) => Array.from({ length: 50 }, (_, index) => balancer.chooseByKey(["a", "b", "c"], String(index)));

    assert.deepEqual(choose(one), choose(other));
  });
});
