// The page in headless Chromium against the program itself, with the example and a small fleet.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ROOT = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../../../..");
const PROGRAM = process.env.WAYWARDEN ?? join(ROOT, "target/debug/waywarden");
/** Within which everything that is waited for happens, on a slow machine too (ms). */
const PATIENCE = 90_000;
const FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let folder, server, link, origin, browser, page;
const complaints = [];

/** Starts the program and reads where it is and the link that signs in once. */
async function start() {
  folder = mkdtempSync(join(tmpdir(), "waywarden-page-"));
  const of = (name) => join(folder, name);
  server = spawn(PROGRAM, ["run", "--data", of("data"), "--any-port", "--http", "127.0.0.1:0",
    "--unknown", "accept", "--simulate", "12", "--example", join(ROOT, "deploy/example")],
    { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: server.stderr });
  const found = new Promise((done, failed) => {
    lines.on("line", (line) => {
      assert.ok(!line.includes("the page is not built"), "make web, and build again");
      const match = /open once.*?(http:\S+)/.exec(line);
      if (match) done(match[1]);
    });
    lines.on("close", () => failed(new Error("it ended before it said where it is")));
  });
  link = await found;
  origin = new URL(link).origin;
}

/** A page that reports what must not happen: errors, and requests that leave the machine. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("pageerror", (e) => complaints.push(`error: ${e}`));
  page.on("console", (m) => {
    // A refused review is a refused request, which the browser reports by itself.
    const expected = m.text().includes("status of 409") || m.text().includes("status of 401");
    if (m.type() === "error" && !expected) complaints.push(`console: ${m.text()}`);
  });
  page.on("request", (r) => {
    if (!r.url().startsWith(origin) && !/^(data|blob):/.test(r.url())) {
      complaints.push(`request: ${r.url()}`);
    }
  });
  return page;
}

/** Asks until the answer is true. */
async function until(what, ask) {
  const end = Date.now() + PATIENCE;
  while (!(await ask())) {
    assert.ok(Date.now() < end, what);
    await new Promise((go) => setTimeout(go, 200));
  }
}

const violations = (kind) =>
  page.locator(kind ? `button.violation[data-kind="${kind}"]` : "button.violation");

before(async () => {
  await start();
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  page = await open();
});

after(async () => {
  await browser?.close();
  if (server && server.exitCode === null) {
    const ended = new Promise((done) => server.on("exit", done));
    server.kill("SIGTERM");
    await ended;
  }
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test("the link signs in once, in Vietnamese", async () => {
  await page.goto(link);
  await page.getByRole("button", { name: "English" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "vi");
  assert.ok(!page.url().includes("code="), "the code does not stay in the address");
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
  const again = await open();
  await again.goto(link);
  await again.goto(origin);
  await again.locator(".notice h1").waitFor();
  assert.equal(await again.locator("button.violation").count(), 0);
  await again.context().close();
});

test("a person signs in with a token of their own, and decides in its name", async () => {
  const made = spawnSync(PROGRAM, ["token", "--data", join(folder, "data"), "make", "truc-ban-01", "--role", "operator"]);
  assert.equal(made.status, 0, String(made.stderr));
  const own = await open();
  await own.goto(origin);
  await own.getByLabel("Mã truy cập").fill("wrong");
  await own.getByRole("button", { name: "Đăng nhập" }).click();
  await until("a wrong token is told", async () => (await own.getByRole("alert").innerText()) !== "");
  await own.getByLabel("Mã truy cập").fill(String(made.stdout).trim());
  await own.getByRole("button", { name: "Đăng nhập" }).click();
  await own.locator("footer.bar").waitFor();
  const over = own.locator('button.violation[data-kind="overspeed"]:has(.pill[data-status="new"])');
  await over.last().click();
  await own.locator("aside.detail textarea").fill("khớp với hành trình");
  await own.locator("aside.detail button.confirm").click();
  await own.locator("aside.detail blockquote footer").getByText("truc-ban-01").waitFor();
  await own.context().close();
});

test("violations of several kinds fill the list, and a filter leaves one kind", async () => {
  await until("no overspeed", async () => (await violations("overspeed").count()) > 2);
  const kinds = page.getByLabel("Loại vi phạm", { exact: false }).first();
  await kinds.selectOption("overspeed");
  await until("only overspeed", async () => {
    const [all, fast] = [await violations().count(), await violations("overspeed").count()];
    return all === fast && all > 0;
  });
  await kinds.selectOption("continuous_driving");
  await until("continuous driving", async () => (await violations("continuous_driving").count()) > 0);
  await kinds.selectOption("");
});

test("vehicles stand on the map and move", async () => {
  await page.getByRole("tab", { name: /Phương tiện/ }).click();
  await page.locator(".pair").first().waitFor();
  const times = () => page.locator(".pair .row-foot .muted:last-child").allTextContents();
  const before = (await times()).join();
  await until("nobody reports", async () => (await times()).join() !== before);
  await until("nobody moves", async () => (await page.locator('.motion[data-motion="moving"]').count()) > 0);
  const canvas = await page.locator("canvas.maplibregl-canvas").boundingBox();
  assert.ok(canvas.width > 400 && canvas.height > 400, JSON.stringify(canvas));
  await page.getByRole("tab", { name: /Vi phạm/ }).click();
});

test("a violation shows its track, its limit and its speeds", async () => {
  await page.getByRole("tab", { name: /Vi phạm/ }).click();
  await violations("overspeed").last().click();
  const detail = page.locator("aside.detail");
  // Icons are drawn before the violation is there.
  await detail.getByText(/Giới hạn/).first().waitFor();
  await until("no line of speeds", async () => (await detail.locator("svg path").count()) > 0);
  const text = await detail.innerText();
  assert.match(text, /Giới hạn/);
  assert.match(text, /km\/h/);
  assert.match(text, /vn-\d+-\d{4}/, "the profile stands there");
  await page.locator(".legend").getByText("Đoạn vi phạm").waitFor();
});

test("who confirms gives a reason; of two the second is told", async () => {
  await page.getByLabel("Trạng thái", { exact: false }).or(page.locator("select").nth(2)).first().selectOption("new");
  // One that is over; the newest may still go on.
  const over = page.locator('button.violation[data-kind="overspeed"]:has(.pill[data-status="new"])');
  await over.last().click();
  const detail = page.locator("aside.detail");
  await detail.locator("textarea").waitFor();
  await detail.locator("button.confirm").click();
  await until("no reason was asked for", async () => (await detail.getByRole("alert").innerText()) !== "");
  const address = page.url();
  // The second page has no stream, so that it does not hear of the first one's decision.
  const context = await browser.newContext({ storageState: await page.context().storageState() });
  const second = await context.newPage();
  await second.route("**/api/v1/live", (request) => request.abort());
  await second.goto(page.url());
  await second.locator("aside.detail textarea").fill("theo tốc độ trên hành trình");
  await detail.locator("textarea").fill("khớp với hành trình và biển báo");
  await detail.locator("button.confirm").click();
  await detail.locator('blockquote[data-status="confirmed"]').waitFor();
  await second.locator("aside.detail .buttons button:not(.confirm)").click();
  await second.locator('aside.detail blockquote[data-status="confirmed"]').waitFor();
  assert.equal(await second.locator('aside.detail blockquote[data-status="dismissed"]').count(), 0);
  await context.close();
});

test("the status bar tells how the system stands, in English too", async () => {
  await page.getByRole("button", { name: "English" }).click();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  const bar = page.locator("footer.bar");
  for (const name of ["Live", "Last data", "Devices held", "Backlog", "Disk free"]) {
    await bar.getByText(name).first().waitFor();
  }
  // Before the stream is there nothing is wrong.
  let opens;
  const opened = new Promise((open) => (opens = open));
  const stream = "**/api/v1/live";
  await page.route(stream, async (route) => {
    await opened;
    await route.continue();
  });
  await page.reload();
  await page.locator('.lamp[data-state="waiting"]').waitFor();
  await bar.getByText("Connecting").waitFor();
  opens();
  await page.locator('.lamp[data-state="good"]').waitFor();
  await page.unroute(stream);
  await bar.getByText("Last data").waitFor();
});

test("when the program is gone the page says so, and it complained of nothing before", async () => {
  assert.deepEqual(complaints, []);
  const ended = new Promise((done) => server.on("exit", done));
  server.kill("SIGTERM");
  assert.equal(await ended, 0);
  await page.locator('.lamp[data-state="bad"]').waitFor();
});
