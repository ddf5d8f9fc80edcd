'use strict';
// A node's gRPC service, with @grpc/grpc-js and the stubs of @hyperledger/fabric-protos.

const grpc = require('@grpc/grpc-js');
const { common, orderer } = require('@hyperledger/fabric-protos');
const network = require('./network.js');

/** Longest wait for one message, in milliseconds. */
const MESSAGE_TIME_MAX_MS = 20_000;
/** Blocks may be as large as the node sends them. */
const RECEIVE_BYTES_MAX = 100 * 1024 * 1024;

/** Name of a status number: `SUCCESS`, `BAD_REQUEST`, ... */
function statusName(number) {
  const found = Object.entries(common.Status).find(([, value]) => value === number);
  return found ? found[0] : `status ${number}`;
}

/** Credentials for a node: its organisation's TLS authority, and what the client shows, if anything. */
function credentials(clientTls) {
  const roots = Buffer.from(network.tlsAuthority('OrdererMSP'));
  if (!clientTls) return grpc.credentials.createSsl(roots);
  return grpc.credentials.createSsl(roots, Buffer.from(clientTls.key), Buffer.from(clientTls.certificate));
}

/** A bidirectional stream that is read message by message. */
class Stream {
  constructor(call) {
    this.call = call;
    this.received = [];
    this.waiting = [];
    this.status = new Promise((resolve) => {
      this.ended = resolve;
    });
    call.on('data', (message) => this.take({ message }));
    // The status event says the same, and comes for every stream.
    call.on('error', () => {});
    call.on('status', (status) => {
      this.take({ status });
      this.ended(status);
    });
  }

  take(event) {
    const waiter = this.waiting.shift();
    if (waiter) waiter(event);
    else this.received.push(event);
  }

  /** The next message; null once the stream has ended. */
  next() {
    return within(this.nextEver(), 'no message came');
  }

  /** The same, however long it takes. */
  async nextEver() {
    const event =
      this.received.shift() ??
      (await new Promise((resolve) => {
        this.waiting.push(resolve);
      }));
    if (event.message) return event.message;
    this.received.unshift(event); // the end stays
    return null;
  }

  /** Waits for the end; answers the gRPC status. */
  end() {
    return within(this.status, 'the stream did not end');
  }

  /** Sends a message; waits while the connection cannot take more. */
  async send(message) {
    if (!this.call.write(message))
      await new Promise((resolve) => {
        this.call.once('drain', resolve);
      });
  }

  /** Sends no more. */
  halfClose() {
    this.call.end();
  }

  cancel() {
    this.call.cancel();
  }
}

class BroadcastStream extends Stream {
  /** The next answer, as `{ status, info }`; null at the end. */
  async answer() {
    const response = await this.next();
    return response && { status: statusName(response.getStatus()), info: response.getInfo() };
  }

  /** Sends one and waits for its answer. */
  async ask(envelope) {
    await this.send(envelope);
    return this.answer();
  }
}

class DeliverStream extends Stream {
  /** The next response, as `{ block }` or `{ status }`; null at the end. */
  async response() {
    const response = await this.next();
    if (!response) return null;
    return response.hasBlock() ? { block: response.getBlock() } : { status: statusName(response.getStatus()) };
  }

  /** The next response, which must be a block. */
  async block() {
    const response = await this.response();
    if (!response?.block) throw new Error(`${JSON.stringify(response)} came in place of a block`);
    return response.block;
  }

  /** Sends one request and reads until its status: `{ blocks, status }`. */
  async ask(seek) {
    await this.send(seek);
    return this.rest();
  }

  /** Reads until a status. */
  async rest() {
    const blocks = [];
    for (;;) {
      const response = await this.response();
      if (!response) return { blocks, status: null };
      if (response.status) return { blocks, status: response.status };
      blocks.push(response.block);
    }
  }
}

async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${MESSAGE_TIME_MAX_MS} ms`)), MESSAGE_TIME_MAX_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

class Orderer {
  /** `clientTls` is `{ certificate, key }` in PEM, or nothing; `options` are those of grpc-js. */
  constructor(address, clientTls, options = {}) {
    this.client = new orderer.AtomicBroadcastClient(address, credentials(clientTls), {
      'grpc.max_receive_message_length': RECEIVE_BYTES_MAX,
      'grpc.max_send_message_length': -1,
      ...options,
    });
  }

  /** Opens Broadcast; `acknowledge` is `accepted`, `committed` or nothing. */
  broadcast(acknowledge) {
    const metadata = new grpc.Metadata();
    if (acknowledge) metadata.set('x-acknowledge', acknowledge);
    return new BroadcastStream(this.client.broadcast(metadata));
  }

  /** Opens Deliver. */
  deliver() {
    return new DeliverStream(this.client.deliver());
  }

  /** Orders envelopes one after another, each durable before the next. */
  async order(...envelopes) {
    const stream = this.broadcast('committed');
    for (const envelope of envelopes) {
      const answer = await stream.ask(envelope);
      if (answer?.status !== 'SUCCESS') throw new Error(`not ordered: ${JSON.stringify(answer)}`);
    }
    stream.halfClose();
    await stream.end();
  }

  /** One request on a stream of its own: `{ blocks, status }`. */
  async seek(request) {
    const stream = this.deliver();
    try {
      return await stream.ask(request);
    } finally {
      stream.cancel();
    }
  }
}

module.exports = { Orderer, RECEIVE_BYTES_MAX, credentials, statusName, within };
