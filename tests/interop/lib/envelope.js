'use strict';
// Envelopes: payload, headers, signature (docs/spec/wire.md §2, §7).

const crypto = require('node:crypto');
const { common, orderer } = require('@hyperledger/fabric-protos');
const { Timestamp } = require('google-protobuf/google/protobuf/timestamp_pb.js');

const { HeaderType } = common;
/** Bytes of a nonce, by convention. */
const NONCE_BYTES = 24;
/** Stands for "without end": larger than any block's number, exact as a JavaScript number. */
const FOR_EVER = Number.MAX_SAFE_INTEGER;

function channelHeader({ channel, type, time, tlsCertificateHash, txId }) {
  const header = new common.ChannelHeader();
  header.setType(type);
  header.setChannelId(channel);
  header.setTxId(txId);
  if (time) header.setTimestamp(Timestamp.fromDate(time));
  if (tlsCertificateHash) header.setTlsCertHash(tlsCertificateHash);
  return header.serializeBinary();
}

function signatureHeader(creator, nonce) {
  const header = new common.SignatureHeader();
  header.setCreator(creator);
  header.setNonce(nonce);
  return header.serializeBinary();
}

/** What a seek request must carry where client certificates are demanded; the argument is a PEM text. */
function tlsHash(certificate) {
  return crypto.createHash('sha256').update(new crypto.X509Certificate(certificate).raw).digest();
}

/** The payload of an envelope, before it is signed. `time: null` leaves the timestamp out. */
function payload({ channel, identity, data, type = HeaderType.MESSAGE, time = new Date(), tlsCertificateHash }) {
  const nonce = crypto.randomBytes(NONCE_BYTES);
  const creator = identity.serialized();
  const txId = crypto.createHash('sha256').update(nonce).update(creator).digest('hex');
  const header = new common.Header();
  header.setChannelHeader(channelHeader({ channel, type, time, tlsCertificateHash, txId }));
  header.setSignatureHeader(signatureHeader(creator, nonce));
  const made = new common.Payload();
  made.setHeader(header);
  made.setData(Buffer.from(data));
  return made.serializeBinary();
}

/** An envelope around payload bytes. */
function wrap(payloadBytes, signature) {
  const envelope = new common.Envelope();
  envelope.setPayload(payloadBytes);
  envelope.setSignature(signature);
  return envelope;
}

/** A signed envelope; the fields are those of `payload`. */
function envelope(fields) {
  const bytes = payload(fields);
  return wrap(bytes, fields.identity.sign(bytes));
}

function position(set) {
  const made = new orderer.SeekPosition();
  set(made);
  return made;
}

const oldest = () => position((it) => it.setOldest(new orderer.SeekOldest()));
const newest = () => position((it) => it.setNewest(new orderer.SeekNewest()));
const nextCommit = () => position((it) => it.setNextCommit(new orderer.SeekNextCommit()));

/** The block with this number. */
function specified(number) {
  const at = new orderer.SeekSpecified();
  at.setNumber(number);
  return position((it) => it.setSpecified(at));
}

/** A SeekInfo; what is not given is left out. */
function seekInfo({ start, stop, behavior, errorResponse, contentType }) {
  const info = new orderer.SeekInfo();
  if (start) info.setStart(start);
  if (stop) info.setStop(stop);
  if (behavior !== undefined) info.setBehavior(behavior);
  if (errorResponse !== undefined) info.setErrorResponse(errorResponse);
  if (contentType !== undefined) info.setContentType(contentType);
  return info.serializeBinary();
}

/** A signed seek request: the fields of `payload` without data, and those of `seekInfo`. */
function seek(fields) {
  return envelope({ type: HeaderType.DELIVER_SEEK_INFO, ...fields, data: seekInfo(fields) });
}

module.exports = {
  FOR_EVER,
  envelope,
  newest,
  nextCommit,
  oldest,
  payload,
  seek,
  seekInfo,
  specified,
  tlsHash,
  wrap,
};
