-- One row per user. A pending user has signed up and never activated; company_id is no attribute of the contract.
select
    user_id,
    created_at as registered_at,
    case
        language
        when 'english'
        then 'en'
        when 'spanish'
        then 'es'
        when 'french'
        then 'fr'
        when 'japanese'
        then 'ja'
        when 'german'
        then 'de'
        when 'arabic'
        then 'ar'
        when 'chinese'
        then 'zh'
        when 'indian'
        then 'hi'
        when 'russian'
        then 'ru'
        when 'portugese'
        then 'pt'
        when 'italian'
        then 'it'
        when 'korean'
        then 'ko'
        else language
    end as language,
    _file,
    _row,
    night(created_at) as _night
from users_file
