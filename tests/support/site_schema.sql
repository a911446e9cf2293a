-- The tables of a live site as its migrations make them: written by hand, so that a wrong name, quote or
-- type in jobctl's own tables is seen.
CREATE TABLE tenant (
  id text PRIMARY KEY, name text, website text, domain text, slug text, status text DEFAULT 'active',
  created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now()
);
CREATE TABLE users (
  id text PRIMARY KEY, email text UNIQUE, tenant_id text REFERENCES tenant(id), image text, "emailVerified" timestamp,
  password_hash text, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
  deleted_at timestamp, deactivated_at timestamp
);
CREATE TABLE client_profiles (
  id text PRIMARY KEY, "userId" text NOT NULL REFERENCES users(id) ON DELETE CASCADE, email text,
  tenant_id text REFERENCES tenant(id), name text NOT NULL, display_name text, username text, plan text DEFAULT 'free',
  timezone text, status text DEFAULT 'active', created_at timestamp NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX client_profiles_user ON client_profiles ("userId");
CREATE TABLE subscriptions (
  id text PRIMARY KEY, "userId" text NOT NULL REFERENCES users(id) ON DELETE CASCADE, plan_id text NOT NULL DEFAULT 'free',
  status text NOT NULL DEFAULT 'pending', start_date timestamp NOT NULL DEFAULT now(), end_date timestamp,
  payment_provider text NOT NULL DEFAULT 'stripe', subscription_id text, invoice_id text, amount_due integer,
  amount_paid integer, price_id text, customer_id text, currency text DEFAULT 'usd', amount integer,
  interval text DEFAULT 'month', interval_count integer DEFAULT 1, trial_start timestamp, trial_end timestamp,
  auto_renewal boolean DEFAULT true, renewal_reminder_sent boolean DEFAULT false,
  last_renewal_attempt timestamp with time zone, failed_payment_count integer DEFAULT 0, cancelled_at timestamp,
  cancel_at_period_end boolean DEFAULT false, cancel_reason text, hosted_invoice_url text, invoice_pdf text,
  metadata text, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
  tenant_id text REFERENCES tenant(id),
  CHECK (NOT (auto_renewal AND cancel_at_period_end)), UNIQUE (payment_provider, subscription_id)
);
CREATE TABLE "subscriptionHistory" (
  id text PRIMARY KEY, subscription_id text NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
  action text NOT NULL, previous_status text, new_status text, previous_plan text, new_plan text, reason text,
  metadata text, created_at timestamp NOT NULL DEFAULT now(), tenant_id text REFERENCES tenant(id)
);
CREATE TABLE votes (
  id text PRIMARY KEY, userid text NOT NULL REFERENCES client_profiles(id) ON DELETE CASCADE, item_id text NOT NULL,
  vote_type text NOT NULL DEFAULT 'upvote', created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(), tenant_id text REFERENCES tenant(id), UNIQUE (userid, item_id)
);
CREATE TABLE comments (
  id text PRIMARY KEY, content text NOT NULL, "userId" text NOT NULL REFERENCES client_profiles(id) ON DELETE CASCADE,
  "itemId" text NOT NULL, rating integer NOT NULL DEFAULT 0, created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(), edited_at timestamp with time zone,
  deleted_at timestamp with time zone, tenant_id text REFERENCES tenant(id)
);
CREATE TABLE item_views (
  id text PRIMARY KEY, item_id text NOT NULL, viewer_id text NOT NULL, viewed_date_utc text NOT NULL,
  viewed_at timestamp with time zone NOT NULL DEFAULT now(), tenant_id text REFERENCES tenant(id),
  UNIQUE (item_id, viewer_id, viewed_date_utc)
);
CREATE TABLE "activityLogs" (
  id serial PRIMARY KEY, "userId" text REFERENCES users(id) ON DELETE CASCADE,
  "clientId" text REFERENCES client_profiles(id) ON DELETE CASCADE, action text NOT NULL,
  "timestamp" timestamp NOT NULL DEFAULT now(), ip_address text, tenant_id text REFERENCES tenant(id)
);
