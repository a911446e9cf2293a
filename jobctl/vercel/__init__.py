"""Vercel Cron: the functions, crons and vercel.json that run the same jobs there."""
