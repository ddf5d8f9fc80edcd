'use strict';
// Checks that count themselves. A script that checked nothing has found nothing to do, and fails.

const assert = require('node:assert/strict');

/** Longest that one script may take, in milliseconds. */
const SCRIPT_TIME_MAX_MS = 60_000;

let checks = 0;

/** `actual` is `expected`, whatever their depth; bytes compare by content. */
function equal(actual, expected, what) {
  assert.deepEqual(plain(actual), plain(expected), `${what}: ${show(actual)} in place of ${show(expected)}`);
  checks += 1;
}

/** `condition` holds. */
function holds(condition, what) {
  assert.ok(condition, what);
  checks += 1;
}

/** `text` has something that `pattern` matches. */
function matches(text, pattern, what) {
  assert.ok(pattern.test(text), `${what}: ${show(text)} does not match ${pattern}`);
  checks += 1;
}

/** `promise` fails, with an error whose message matches; answers the error. */
async function fails(promise, pattern, what) {
  const error = await promise.then(
    () => assert.fail(`${what}: it went well`),
    (reason) => reason,
  );
  matches(String(error.message ?? error), pattern, what);
  return error;
}

function plain(value) {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

function show(value) {
  const text = typeof plain(value) === 'string' ? plain(value) : JSON.stringify(value);
  return text === undefined ? 'nothing' : text.slice(0, 400);
}

/** Runs a script: says how many checks it made, and ends the process, 1 if one failed or none was made. */
function run(script) {
  const late = setTimeout(() => end(new Error(`not done after ${SCRIPT_TIME_MAX_MS} ms`)), SCRIPT_TIME_MAX_MS);
  script()
    .then(() => end(checks === 0 ? new Error('it checked nothing') : null), end)
    .finally(() => clearTimeout(late));
}

function end(error) {
  if (error) console.error(error);
  console.log(`checks: ${checks}`);
  // Open streams and connections must not keep the process.
  process.exit(error ? 1 : 0);
}

module.exports = { equal, fails, holds, matches, run };
