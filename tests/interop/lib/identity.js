'use strict';
// Who signs: an MSP id, a certificate and its key. Signatures as docs/spec/rules.md §10.3 wants them.

const crypto = require('node:crypto');
const { msp } = require('@hyperledger/fabric-protos');

/** Order of the curve P-256. */
const P256_ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

class Identity {
  /** Certificate and key are PEM texts. */
  constructor(mspId, certificate, key) {
    this.mspId = mspId;
    this.certificate = certificate;
    this.keyPem = key;
    this.key = crypto.createPrivateKey(key);
  }

  /** `ec` or `ed25519`. */
  get keyType() {
    return this.key.asymmetricKeyType;
  }

  /** The bytes that envelopes name their creator by. */
  serialized() {
    const identity = new msp.SerializedIdentity();
    identity.setMspid(this.mspId);
    identity.setIdBytes(Buffer.from(this.certificate));
    return identity.serializeBinary();
  }

  /** Ed25519 over the message; ECDSA over its SHA-256, in DER, with low S. */
  sign(message) {
    if (this.keyType === 'ed25519') return crypto.sign(null, message, this.key);
    const { r, s } = this.signRaw(message);
    return derSignature(r, s > P256_ORDER / 2n ? P256_ORDER - s : s);
  }

  /** An ECDSA signature that verifies and has high S, which nobody may accept. */
  signHigh(message) {
    const { r, s } = this.signRaw(message);
    return derSignature(r, s > P256_ORDER / 2n ? s : P256_ORDER - s);
  }

  signRaw(message) {
    const raw = crypto.sign('sha256', message, { key: this.key, dsaEncoding: 'ieee-p1363' });
    return { r: integer(raw.subarray(0, 32)), s: integer(raw.subarray(32)) };
  }
}

function integer(bytes) {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** DER of a non-negative INTEGER. */
function derInteger(value) {
  let hex = value.toString(16);
  if (hex.length % 2) hex = `0${hex}`;
  // The top bit is the sign.
  if (Number.parseInt(hex.slice(0, 2), 16) >= 0x80) hex = `00${hex}`;
  return der(0x02, Buffer.from(hex, 'hex'));
}

/** One DER element with a content of less than 128 bytes. */
function der(tag, content) {
  if (content.length > 127) throw new Error(`${content.length} bytes need a long length`);
  return Buffer.concat([Buffer.from([tag, content.length]), content]);
}

function derSignature(r, s) {
  return der(0x30, Buffer.concat([derInteger(r), derInteger(s)]));
}

/** S of an ECDSA signature in DER. */
function signatureS(signature) {
  const bytes = Buffer.from(signature);
  const rEnd = 4 + bytes[3];
  return integer(bytes.subarray(rEnd + 2, rEnd + 2 + bytes[rEnd + 1]));
}

/** Whether a P-256 signature in DER has low S. */
function isLowS(signature) {
  return signatureS(signature) <= P256_ORDER / 2n;
}

module.exports = { Identity, der, derInteger, isLowS };
