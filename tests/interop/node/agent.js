'use strict';
// Runs an unmodified client at the command of a test: one command a line on standard input, one
// answer a line on standard output, as the Java agent does.
//
// node agent.js NAMESERVERS NODE_MODULES ali-ons|rocketmq

const fs = require('fs');
const path = require('path');
const readline = require('readline');

const [ nameSrv, modules, name ] = process.argv.slice(2);
const client = require(path.join(modules, name));
const co = require(path.join(modules, 'co'));

const logger = {
  info() {},
  debug() {},
  warn: (...args) => console.error(...args),
  error: (...args) => console.error(...args),
};
// The two name the nameservers' option differently; httpclient is only for looking them up.
const common = { nameSrv, namesrvAddr: nameSrv, logger, httpclient: {} };
const seen = new Map();
let total = 0;
let producer;
const consumers = [];

// rocketmq is older than async functions: it wants, and gives, generators.
function handler(consume) {
  return name === 'rocketmq' ? function* (message) { consume(message); } : async message => consume(message);
}

function wait(what) {
  return co(function* () { return yield what; });
}

function remember(message) {
  total++;
  const topics = seen.get(message.keys) || [];
  topics.push(`${message.topic}:${message.reconsumeTimes}`);
  seen.set(message.keys, topics);
}

async function start(group, topic, expression, options, consume) {
  const consumer = new client.Consumer(Object.assign({
    consumerGroup: group,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
  }, common, options));
  consumer.on('error', err => logger.error(String(err)));
  consumer.subscribe(topic, expression, handler(consume));
  await wait(consumer.ready());
  consumers.push(consumer);
  return '';
}

const commands = {
  async producer(group) {
    producer = new client.Producer(Object.assign({ producerGroup: group }, common));
    await wait(producer.ready());
    return group;
  },

  async send(topic, tag, key) {
    const message = new client.Message(topic, tag, `body of ${key}`);
    message.keys = [ key ];
    const result = await wait(producer.send(message));
    return `${result.sendStatus} ${result.msgId}`;
  },

  consumer(group, topic, expression) {
    return start(group, topic, expression, {}, remember);
  },

  broadcast(group, topic) {
    return start(group, topic, '*', { isBroadcast: true }, remember);
  },

  flaky(group, topic, failures) {
    return start(group, topic, '*', {}, message => {
      remember(message);
      if (seen.get(message.keys).length <= Number(failures)) {
        throw new Error(`as asked, at ${message.keys}`);
      }
    });
  },

  async consumerstop() {
    for (const consumer of consumers.splice(0)) {
      await wait(consumer.close());
    }
    return '';
  },

  async seen(key) {
    return String((seen.get(key) || []).length);
  },

  async attempts(key) {
    return (seen.get(key) || []).join(' ');
  },

  // Whether none of the client's sources has what a pattern finds.
  async lacks(pattern) {
    const folder = path.join(modules, name, 'lib');
    const sources = fs.readdirSync(folder, { recursive: true }).filter(file => file.endsWith('.js'));
    return String(!sources.some(file => new RegExp(pattern).test(
      fs.readFileSync(path.join(folder, file), 'utf8'))));
  },

  async total() {
    return `${total} ${seen.size}`;
  },
};

async function main() {
  console.log('ok ready');
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [ command, ...words ] = line.trim().split(' ');
    try {
      console.log(`ok ${await commands[command](...words)}`);
    } catch (err) {
      console.log(`error ${String(err && err.message).replace(/\n/g, ' ')}`);
    }
  }
  process.exit(0);
}

main();
