-- One row per step of an invitation.
select referral_id, inviter_id, invitee_id, step, step_at, generation, _file, _row, _night from referrals
