// The page in a real browser, on a real cluster: each view shows what was sent, and nothing else complains.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { Cluster } from "../../e2e/cluster.ts";
import { kubectlAbsence } from "../kubectl/kubectl.ts";
import { chromiumPath, openBrowser, openPage, type Watched } from "./browser.ts";
import { type Answered, call, link, startMesh } from "./mesh.ts";

const chromium = chromiumPath();
const skip = kubectlAbsence() ?? (chromium === undefined ? "needs chromium: apt-get install chromium" : false);

const WIDE = { width: 1440, height: 900, colorScheme: "light" } as const;
const PATIENCE = { timeout: 20_000 };
const SENT = 40;
const REFUSED = 10;

let cluster: Cluster;
let browser: Browser;
let watched: Watched;
let answers: readonly Answered[] = [];

before(
  async () => {
    if (skip !== false || chromium === undefined) return;
    cluster = await startMesh();
    browser = await openBrowser(chromium);
    watched = await openPage(browser, await link(cluster), WIDE);
    // The proxies' counters are known from now on: what is sent next is seen to grow.
    await watched.page.getByText(/3 of 3 proxies in step/).waitFor(PATIENCE);
    await watched.page.waitForTimeout(3_000);
    answers = await call(cluster, "/products", SENT);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  },
  { timeout: 150_000 },
);

after(async () => {
  await browser?.close();
  await cluster?.dispose();
});

async function open(address: string): Promise<Page> {
  const { page } = watched;
  await page.evaluate(`location.hash = ${JSON.stringify(address)}`);
  return page;
}

// Evaluated in the page.
const FAULTS = readFileSync(new URL("./faults.js", import.meta.url), "utf8");
const WIDEST = "Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth)";
const GROUND = "getComputedStyle(document.body).backgroundColor";
const PAINTED_AT = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
const BYTES = `performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)`;
const PAINTED = `(() => {
  const canvas = document.querySelector("canvas");
  if (canvas === null || canvas.width === 0) return false;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
})()`;

const options = { skip, timeout: 60_000 };

test("the graph shows the call, its figures and its lock; the table says the same", options, async () => {
  const page = await open("#/graph");
  await page.getByRole("button", { name: /^live\/api: / }).waitFor(PATIENCE);
  await page.locator(".label .lock.closed").first().waitFor(PATIENCE);
  await page.getByRole("button", { name: "Table" }).click();
  const row = page.getByRole("row", { name: /live\/web → live\/api/ });
  await row.locator('[data-label="Requests"]').getByText(String(SENT), { exact: true }).waitFor(PATIENCE);
  assert.equal(await row.locator('[data-label="Security"]').innerText(), "mutual TLS");
  assert.equal(await row.locator('[data-label="Protocol"]').innerText(), "http");
  assert.equal(await row.locator('[data-label="Errors"]').innerText(), "0 %");
  assert.match(await row.locator('[data-label="p99"]').innerText(), /\d m?s$/);
  await page.getByRole("button", { name: "Picture" }).click();
});

test("dots run along the line while there is traffic", options, async () => {
  const page = await open("#/graph");
  const painted = (): Promise<boolean> => page.evaluate(PAINTED);
  for (let i = 0; i < 40 && !(await painted()); i += 1) await page.waitForTimeout(250);
  assert.ok(await painted());
});

test(
  "a service opens from the graph by keyboard: its versions got what they got; Esc gives the focus back",
  options,
  async () => {
    const page = await open("#/graph");
    const node = page.getByRole("button", { name: /^live\/api: / });
    await node.focus();
    await page.keyboard.press("Enter");
    const panel = page.getByRole("complementary", { name: "Service live/api" });
    for (const version of ["v1", "v2"]) {
      const got = answers.filter((answer) => answer.version === version).length;
      const wanted = version === "v1" ? "75 %" : "25 %";
      const figures = panel.locator(".version", { hasText: version }).locator(".version-figures");
      await figures.getByText(`${got} in the last minute`).waitFor(PATIENCE);
      await figures.getByText(`wanted ${wanted}`).waitFor(PATIENCE);
    }
    assert.equal(await panel.getByText("healthy").count(), 2);
    assert.equal(await panel.getByText("proxy in step").count(), 2);
    assert.equal(await panel.getByText(/^spiffe:\/\/cluster.local\/ns\/live\/sa\/default$/).count(), 2);
    assert.equal(await panel.getByText(/^valid for \d+ h$/).count(), 2);
    await panel.getByText("live/no-secrets").first().waitFor(PATIENCE);
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate("document.activeElement.getAttribute('data-node')"), "live/api");
  },
);

test("refusals are told with the policy that caused them", options, async () => {
  const refused = await call(cluster, "/secret", REFUSED);
  assert.deepEqual([...new Set(refused.map(({ status }) => status))], [403]);
  const page = await open("#/services/live/api");
  const failure = page.getByRole("listitem").filter({ hasText: "GET /secret" });
  await failure.getByText(new RegExp(`, ${REFUSED} times, `)).waitFor(PATIENCE);
  assert.match(await failure.innerText(), /AuthorizationPolicy.*live\/no-secrets/s);
  assert.match(await failure.innerText(), /403/);
});

test("the list of services has each with its endpoints and its mutual TLS", options, async () => {
  const page = await open("#/services");
  const row = page.getByRole("row", { name: /^api live/ });
  await row.waitFor(PATIENCE);
  assert.equal(await row.locator('[data-label="Endpoints"]').innerText(), "2");
  assert.equal(await row.locator('[data-label="Mutual TLS"]').innerText(), "strict");
  await page.getByRole("searchbox").fill("nothing of the kind");
  await page.getByText("No service has this in its name.").waitFor();
  await page.getByRole("searchbox").fill("");
});

test(
  "configuration: what is wrong stands first; a resource tells its conditions and its manifest",
  options,
  async () => {
    const page = await open("#/configuration");
    const rows = page.getByRole("rowheader");
    await rows.first().waitFor(PATIENCE);
    assert.match(await rows.first().innerText(), /broken\s+VirtualService/);
    await page
      .getByRole("row", { name: /broken/ })
      .getByText("not ResolvedRefs")
      .waitFor(PATIENCE);
    await page
      .getByRole("row", { name: /no-secrets/ })
      .getByText("2 of 2")
      .waitFor(PATIENCE);
    await page.getByRole("link", { name: "no-secrets" }).click();
    await page.getByText('- "/secret"').or(page.getByText("- /secret")).waitFor(PATIENCE);
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
  },
);

test("metrics count the same, over time", options, async () => {
  const page = await open("#/metrics/live/api");
  await page.getByText(`${SENT + REFUSED} requests, 0 errors in the last 10 minutes`).waitFor(PATIENCE);
  await page.locator(".uplot canvas").first().waitFor(PATIENCE);
  assert.equal(await page.locator(".uplot").count(), 4);
  for (const name of ["v1", "v2", "live/web-v1"])
    await page.locator(".legend").getByText(name).first().waitFor(PATIENCE);
});

test("traces: as many as are asked for, and one as a waterfall of its two spans", options, async () => {
  const page = await open("#/traces");
  const links = page.getByRole("rowheader").getByRole("link");
  await links.first().waitFor(PATIENCE);
  await links.first().click();
  const spans = page.getByRole("list", { name: "Spans in the order of the calls" }).getByRole("listitem");
  await spans.first().waitFor(PATIENCE);
  assert.equal(await spans.count(), 2);
  await spans.first().getByRole("button").click();
  await spans.first().getByText("client", { exact: true }).first().waitFor(PATIENCE);
  await page.getByText(/2 spans of 2 services/).waitFor(PATIENCE);
});

test("rollouts: a page that may only look can't steer, one that may change things can", options, async () => {
  const started = await cluster.weft(["canary", "start", "api", "-n", "live", "--interval", "10m"]);
  assert.equal(started.code, 0, started.stderr);
  const page = await open("#/rollouts");
  const rollout = page.getByRole("region", { name: "Rollout of live/api" });
  await rollout.locator(".badge").getByText("Progressing").waitFor(PATIENCE);
  assert.ok(await rollout.getByRole("button", { name: "Abort" }).isDisabled());

  const editor = await openPage(browser, await link(cluster, "--allow-changes"), WIDE);
  await editor.page.getByRole("link", { name: "Rollouts" }).click();
  const own = editor.page.getByRole("region", { name: "Rollout of live/api" });
  await own.getByRole("button", { name: "Pause" }).click();
  await own.getByText("Paused", { exact: true }).first().waitFor(PATIENCE);
  await own.getByRole("button", { name: "Resume" }).click();
  await own.locator(".badge").getByText("Progressing").waitFor(PATIENCE);
  await own.getByRole("button", { name: "Abort" }).click();
  await editor.page.getByRole("dialog").getByRole("button", { name: "Abort" }).click();
  await own.getByText("Aborted", { exact: true }).first().waitFor(PATIENCE);
  await rollout.getByText("Aborted", { exact: true }).first().waitFor(PATIENCE);
  assert.deepEqual(editor.complaints, []);
  await editor.context.close();
});

const VIEWS = [
  "#/graph",
  "#/services",
  "#/services/live/api",
  "#/configuration",
  "#/metrics/live/api",
  "#/traces",
  "#/rollouts",
];

test(
  "every view has landmarks, one heading of the first level, and a name for all that can be used",
  options,
  async () => {
    for (const view of VIEWS) {
      const page = await open(view);
      await page.locator("main h1").waitFor(PATIENCE);
      await page.waitForTimeout(400);
      const faults = await page.evaluate(FAULTS);
      assert.deepEqual(faults, [], view);
    }
  },
);

test("Tab begins with a way past the navigation, and the focus is seen", options, async () => {
  const page = await open("#/services");
  await page.locator("main h1").waitFor(PATIENCE);
  await page.reload();
  await page.getByRole("navigation").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent.trim()"), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement.tagName"), "MAIN");
  await page.keyboard.press("Tab");
  const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
  assert.notEqual(outline, "none");
});

test("a window of 360 pixels shows every view without scrolling sideways, in the dark too", options, async () => {
  const narrow = await openPage(browser, await link(cluster), { width: 360, height: 740, colorScheme: "dark" });
  for (const view of VIEWS) {
    await narrow.page.evaluate(`location.hash = ${JSON.stringify(view)}`);
    await narrow.page.locator("main h1").waitFor(PATIENCE);
    await narrow.page.waitForTimeout(400);
    const widest: number = await narrow.page.evaluate(WIDEST);
    assert.ok(widest <= 360, `${view} is ${widest} pixels wide`);
  }
  const ground = await narrow.page.evaluate(GROUND);
  assert.equal(ground, "rgb(15, 19, 24)");
  await narrow.page.getByRole("button", { name: "Light" }).click();
  assert.equal(await narrow.page.evaluate(GROUND), "rgb(245, 246, 248)");
  assert.deepEqual(narrow.complaints, []);
  await narrow.context.close();
});

test("the first view takes less than a second and less than 200 KB", options, async () => {
  const took: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    const fresh = await openPage(browser, await link(cluster), WIDE);
    took.push(Number(await fresh.page.evaluate(PAINTED_AT)));
    const bytes = Number(await fresh.page.evaluate(BYTES));
    assert.ok(bytes > 20_000 && bytes < 200_000, `${bytes} bytes`);
    await fresh.context.close();
  }
  assert.ok(Math.min(...took) < 1_000, `${took.map(Math.round).join(", ")} ms`);
});

test("nothing complained: no error, nothing that the policy refused, no request to anywhere else", options, () => {
  assert.deepEqual(watched.complaints, []);
});
