// The script of test_sdks.py in JavaScript: the same calls, the same facts printed as JSON.
import Stripe from 'stripe';

const address = new URL(process.argv[2]);
const stripe = new Stripe('sk_test_sdk_script', {
  host: address.hostname,
  port: Number(address.port),
  protocol: 'http',
  telemetry: false,
  maxNetworkRetries: 0,
});

const facts = [];
const automatic = { enabled: true, allow_redirects: 'never' };

const intent = await stripe.paymentIntents.create(
  { amount: 5000, currency: 'usd', automatic_payment_methods: automatic, metadata: { job: '1' }, transfer_group: 'job_1' },
  { idempotencyKey: 'payment_1' },
);
facts.push(['created', intent.status, intent.metadata.job]);
const again = await stripe.paymentIntents.create(
  { amount: 5000, currency: 'usd', automatic_payment_methods: automatic, metadata: { job: '1' }, transfer_group: 'job_1' },
  { idempotencyKey: 'payment_1' },
);
facts.push(['replayed', again.id === intent.id]);
try {
  await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa_chargeDeclined' });
} catch (error) {
  facts.push(['declined', error.statusCode, error.code, error.decline_code]);
}
const paid = await stripe.paymentIntents.confirm(intent.id, {
  payment_method: 'pm_card_visa',
  expand: ['latest_charge.balance_transaction'],
});
facts.push(['paid', paid.status, paid.latest_charge.balance_transaction.fee]);

const vendor = await stripe.accounts.create({
  external_account: { object: 'bank_account', country: 'US', currency: 'usd', account_number: '000123456789', routing_number: '110000000' },
});
const transfer = await stripe.transfers.create(
  { amount: 4000, currency: 'usd', destination: vendor.id, transfer_group: 'job_1' },
  { idempotencyKey: 'transfer_1' },
);
facts.push(['transferred', transfer.amount, transfer.reversed]);
const reversal = await stripe.transfers.createReversal(transfer.id, { amount: 1000 });
facts.push(['reversed', reversal.amount]);
try {
  await stripe.transfers.create({ amount: 90000000, currency: 'usd', destination: vendor.id });
} catch (error) {
  facts.push(['refused', error.statusCode, error.code]);
}
const payout = await stripe.payouts.create({ amount: 3000, currency: 'usd' }, { stripeAccount: vendor.id });
facts.push(['paid out', payout.status]);
const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 500 });
facts.push(['refunded', refund.status]);

const balance = await stripe.balance.retrieve();
facts.push(['balance', balance.available[0].amount, balance.pending[0].amount]);
const types = [];
for await (const event of stripe.events.list({ limit: 3 })) types.push(event.type);
facts.push(['events', types]);
const listed = await stripe.transfers.list({ transfer_group: 'job_1' });
facts.push(['listed', listed.data.length, listed.has_more]);
console.log(JSON.stringify(facts));
