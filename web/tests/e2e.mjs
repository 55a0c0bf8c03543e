/** The built page in headless Chromium with a fake camera: `node tests/e2e.mjs [SCREENSHOTS]`, after scripts/web. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { preview } from "vite";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(CHROMIUM)) {
  console.log(`There is no ${CHROMIUM}, so the page is not tested in a browser; set CHROMIUM.`);
  process.exit(0);
}
const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), "poseg-"));
const clip = join(folder, "camera.mjpeg");
const photo = readFileSync("public/examples/astronaut.jpg");
writeFileSync(clip, Buffer.concat([photo, photo, photo]));

const server = await preview({ preview: { port: 4199, strictPort: true } });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${clip}`,
  ],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, permissions: ["camera"] });
const page = await context.newPage();
const faults = [];
page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
page.on("pageerror", (fault) => faults.push(String(fault)));

const pixels = () =>
  page.evaluate(() => {
    const canvas = document.getElementById("view");
    return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
  });
const set = (id, value) =>
  page.evaluate(([id, value]) => {
    const control = document.getElementById(id);
    if (control.type === "checkbox") control.checked = value;
    else control.value = value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  }, [id, value]);
const changed = (before, after, width, where) => {
  let count = 0;
  for (let at = 0; at < before.length; at += 4) {
    const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)];
    if (where(x, y) && [0, 1, 2, 3].some((channel) => Math.abs(before[at + channel] - after[at + channel]) > 3)) count++;
  }
  return count;
};

try {
  await page.goto("http://localhost:4199/");
  assert.equal(await page.evaluate(() => self.crossOriginIsolated), true);
  await page.click("#example");
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("1 person"), null, { timeout: 60000 });
  const width = await page.evaluate(() => document.getElementById("view").width);
  const withSkeleton = await pixels();
  await set("skeleton", false);
  const plain = await pixels();
  assert.ok(changed(withSkeleton, plain, width, () => true) > 200, "a skeleton appears");

  // The middle of the chest is the person, the right edge beside the head is not.
  const person = (x, y) => Math.hypot(x - 0.45 * width, y - 0.75 * width) < 20;
  const corner = (x, y) => x >= width - 20 && y > 50 && y < 90;
  for (const effect of ["blur", "replace", "cutout", "outline", "winged", "pixelate"]) {
    await set("effect", effect);
    const after = await pixels();
    assert.ok(changed(plain, after, width, () => true) > 300, `${effect} changes the image`);
    assert.ok(changed(plain, after, width, person) === 0, `${effect} leaves the chest as it is`);
    if (["replace", "cutout"].includes(effect)) assert.ok(changed(plain, after, width, corner) > 700, `${effect} reaches the corner`);
    if (effect === "pixelate") assert.equal(changed(plain, after, width, corner), 0);
    await page.screenshot({ path: join(folder, `${effect}.png`) });
  }
  const box = await page.locator("#view").boundingBox();
  await page.mouse.click(box.x + 0.45 * box.width, box.y + 0.75 * box.height);
  assert.equal(await page.locator("#person").inputValue(), "1");
  await page.mouse.click(box.x + box.width - 4, box.y + 0.1 * box.height);
  assert.equal(await page.locator("#person").inputValue(), "");

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save-json")]);
  const [result] = JSON.parse(readFileSync(await download.path(), "utf8"));
  assert.equal(result.keypoints.length, 51);
  assert.equal(result.segmentation.counts.reduce((sum, run) => sum + run, 0), width * width);

  await set("effect", "none");
  await set("skeleton", true);
  await set("masks", true);
  await page.screenshot({ path: join(folder, "desktop.png") });
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
  }
  await page.screenshot({ path: join(folder, "dark.png") });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.screenshot({ path: join(folder, "phone.png") });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is wider than a phone");

  await page.click("#camera");
  for (const size of ["385", "513"]) {
    await page.selectOption("#size", size);
    await page.waitForFunction(() => document.getElementById("status").textContent.includes("frames/s"), null, { timeout: 30000 });
    await page.waitForTimeout(3000);
    console.log(`fast, ${size} px, camera: ${await page.locator("#status").textContent()}`);
  }
  await page.reload(); // the service worker now keeps the page's files
  await page.click("#example");
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("1 person"), null, { timeout: 60000 });
  await context.setOffline(true);
  await page.reload();
  await page.click("#example");
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("1 person"), null, { timeout: 60000 });
  assert.deepEqual(faults, []);
  console.log(`All passed; screenshots in ${folder}`);
} finally {
  await browser.close();
  await server.close();
}
