// @supabase/stripe-sync-engine behind fastify, as its README has it; the CommonJS build.
// Environment: DATABASE_URL, PORT, STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET.
const fastify = require('fastify')
const { StripeSync, runMigrations } = require('@supabase/stripe-sync-engine')

async function main() {
    await runMigrations({ databaseUrl: process.env.DATABASE_URL, schema: 'stripe' })
    const sync = new StripeSync({
        poolConfig: { connectionString: process.env.DATABASE_URL, max: 10, keepAlive: true },
        stripeSecretKey: process.env.STRIPE_API_KEY,
        stripeWebhookSecret: process.env.STRIPE_WEBHOOK_SECRET,
    })
    const app = fastify({ logger: false })
    // The signature is over the bytes as they came.
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) =>
        done(null, body),
    )
    app.get('/health', async () => ({ ok: true }))
    app.post('/webhooks', async (request) => {
        await sync.processWebhook(request.body, request.headers['stripe-signature'])
        return { received: true }
    })
    await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
}

main().catch((error) => {
    console.error(error)
    process.exit(1)
})
