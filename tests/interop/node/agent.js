'use strict';
// Runs the unmodified ali-ons client at the command of a test: one command a line on standard
// input, one answer a line on standard output, as the Java agent does.

const path = require('path');
const readline = require('readline');

const modules = process.argv[3];
const { Consumer, Message, Producer } = require(path.join(modules, 'node_modules', 'ali-ons'));

const nameSrv = process.argv[2];
const logger = {
  info() {},
  debug() {},
  warn: (...args) => console.error(...args),
  error: (...args) => console.error(...args),
};
// Only for looking a nameserver up over HTTP, which a given address makes needless.
const httpclient = {};
const seen = new Map();
let total = 0;
let producer;
const consumers = [];

const commands = {
  async producer(group) {
    producer = new Producer({ nameSrv, producerGroup: group, logger, httpclient });
    await producer.ready();
    return group;
  },

  async send(topic, tag, key) {
    const message = new Message(topic, tag, `body of ${key}`);
    message.keys = [ key ];
    const result = await producer.send(message);
    return `${result.sendStatus} ${result.msgId}`;
  },

  async consumer(group, topic, expression) {
    const consumer = new Consumer({
      nameSrv,
      consumerGroup: group,
      isBroadcast: false,
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      logger,
      httpclient,
    });
    consumer.subscribe(topic, expression, async message => {
      total++;
      seen.set(message.keys, (seen.get(message.keys) || 0) + 1);
    });
    await consumer.ready();
    consumers.push(consumer);
    return '';
  },

  async seen(key) {
    return String(seen.get(key) || 0);
  },

  async total() {
    return `${total} ${seen.size}`;
  },
};

async function main() {
  console.log('ok ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [ name, ...words ] = line.trim().split(' ');
    try {
      console.log(`ok ${await commands[name](...words)}`);
    } catch (err) {
      console.log(`error ${String(err && err.message).replace(/\n/g, ' ')}`);
    }
  }
  process.exit(0);
}

main();
